"""The logs of processes that predict parts of one list of images: each has a log of its own, so that none waits.

A log is a file of JSON lines in the folder ``parts`` of the predictions, each with the hash of its content. The first
line says whose it is; each other line is what became of one image: the lines of the table, or a problem.
"""

import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from promise_seg._version import __version__
from promise_seg.errors import PromiseError
from promise_seg.images.own_folders import PREDICTION_PARTS
from promise_seg.parts import Part
from promise_seg.prediction.log_ranges import LogRange, lines_in, ranges_of
from promise_seg.processes import own_start, system_name
from promise_seg.sealed import opened_line, sealed_line

_BYTES_AT_ONCE = 1 << 22
ALL_LOGS = "*.jsonl"
ALL_LISTS = "inputs-*.txt"
"""The patterns of the names of logs, and of lists of images."""


def logs_of(part: Part) -> str:
    """Return the pattern of the names of all logs of a part."""
    return f"{part.number}-of-{part.count}.*.jsonl"


def logs_that_may_know(folder: Path, part: Part) -> str:
    """Return the pattern of the names of all logs that may tell of the images of a part.

    These are the logs of the part alone while there was one list of images and one number of parts in a folder.
    """
    place = folder / PREDICTION_PARTS
    same = f"*-of-{part.count}.*.jsonl"
    is_divided_anew = any(not path.match(same) for path in place.glob(ALL_LOGS))
    return ALL_LOGS if is_divided_anew or len(list(place.glob(ALL_LISTS))) > 1 else logs_of(part)


@dataclass(frozen=True)
class Entry:
    """A line of a log on one image.

    Args:
        stem: of the image, by which its outputs are named: its name in all processes.
        key: its absolute name for the process that predicted it.
        image: its name in the table.
        at: when the line was written, in seconds since 1970; later than all lines on the image that its process knew.
        state: sizes and times of change of the image's files.
        lines: of the table; none if there was a problem.
        problem: why it was not predicted; empty if it was.
    """

    stem: str
    key: str
    image: str
    at: float
    state: list[list[int]]
    lines: list[dict[str, str]]
    problem: str = ""


class PartLog:
    """The log of this process; its file is made with the first line.

    Args:
        folder: of the predictions.
        part: that this process predicts.
    """

    def __init__(self, folder: Path, part: Part) -> None:
        self.path = folder / PREDICTION_PARTS / logs_of(part).replace("*", secrets.token_hex(8))
        self._part, self._began = part, time.time()

    def add(self, entry: Entry) -> None:
        """Append a line.

        Raises:
            PromiseError: if the system cannot write there.
        """
        text = sealed_line(vars(entry), sort_keys=True)
        if not self.path.exists():
            text = sealed_line(self._header()) + text
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(text.encode())
        except OSError as error:
            raise PromiseError(
                f"{self.path}: cannot write: {error.strerror}. What was predicted before is unharmed; free space, and "
                "give the same command again"
            ) from error

    def _header(self) -> dict[str, Any]:
        return {
            "part": str(self._part), "host": socket.gethostname(), "process": os.getpid(), "started": self._began,
            "system": system_name(), "process_started": own_start(), "promise_seg": __version__,
            "torch": torch.__version__,
        }  # fmt: skip


class LogReader:
    """Reads logs, and later what was added to them since.

    Args:
        folder: of the predictions.
        ends: how much of logs need not be read, in bytes, by their names.
    """

    def __init__(self, folder: Path, ends: Mapping[str, int] | None = None) -> None:
        self._folder = folder / PREDICTION_PARTS
        self.ends = dict(ends or {})
        """How much of each log was read, in bytes, by its name."""
        self.damaged = 0
        """Lines that were left out, as their content is not what was written."""
        self.torch_versions: set[str] = set()
        """The versions of PyTorch of the processes whose logs were read."""
        self.headers: list[dict[str, Any]] = []
        """The first lines of the logs that were read: whose they are."""

    def new_entries(self, pattern: str = ALL_LOGS) -> Iterator[Entry]:
        """Yield what was not read before, of one log after the other; a line that is being written is left for later.

        Raises:
            PromiseError: if a log cannot be read.
        """
        for some in self.new_ranges(pattern):
            found = lines_in(some)
            self.note_read(some, found.end)
            yield from (entry for line in found.lines if (entry := self.entry(line)) is not None)

    def new_ranges(self, pattern: str = ALL_LOGS) -> list[LogRange]:
        """Return what was not read before, of one log after the other, in ranges of a few thousand lines.

        Raises:
            PromiseError: if the system cannot tell how large a log is.
        """
        paths = sorted(self._folder.glob(pattern))
        return [some for path in paths for some in ranges_of(path, self.ends.get(path.name, 0), _BYTES_AT_ONCE)]

    def note_read(self, some: LogRange, end: int) -> None:
        """Note that a range was read, whose last whole line ends after so many bytes of the log; 0 if it has none."""
        self.ends[some.path.name] = max(self.ends.get(some.path.name, 0), end)

    def at(self, name: str, place: int) -> Entry | None:
        """Return the line at a place in a log; ``None`` if it is no longer there.

        Raises:
            PromiseError: if the log cannot be read.
        """
        path = self._folder / name
        try:
            with path.open("rb") as file:
                file.seek(place)
                return self.entry(file.readline())
        except OSError as error:
            raise PromiseError(f"{path}: cannot be read: {error.strerror}") from error

    def entry(self, line: bytes) -> Entry | None:
        """Return what a line says of an image; ``None`` if it says whose the log is, or is damaged, which is noted."""
        try:
            found = opened_line(line)
            if "torch" in found:
                self.torch_versions.add(str(found["torch"]))
                self.headers.append(found)
                return None
            return Entry(**found)
        except (ValueError, TypeError):
            self.damaged += 1
            return None
