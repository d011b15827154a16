"""Logs of the processes that predict parts of one list of images. Each process has its own log, so none has to wait.

A log is a file of JSON lines in the folder ``parts`` of the predictions, each with the hash of its content. The first
line identifies the process; each other line is the result for one image: its lines of the table, or a problem.
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
from promise_seg.parallel.parts import Part
from promise_seg.prediction.log_ranges import LogRange, lines_in, ranges_of
from promise_seg.processes import own_start, system_name
from promise_seg.storage.sealed import opened_line, sealed_line

_BYTES_AT_ONCE = 1 << 22
ALL_LOGS = "*.jsonl"
ALL_LISTS = "inputs-*.txt"
"""Patterns of the names of logs (``ALL_LOGS``) and of lists of images (``ALL_LISTS``)."""


def logs_of(part: Part) -> str:
    """Return the pattern of the names of a part's logs."""
    return f"{part.number}-of-{part.count}.*.jsonl"


def logs_that_may_know(folder: Path, part: Part) -> str:
    """Return the pattern of the names of all logs that may have lines about the images of a part.

    These are only the logs of the part itself, unless the folder was used with several lists of images or numbers of
    parts.
    """
    place = folder / PREDICTION_PARTS
    same = f"*-of-{part.count}.*.jsonl"
    is_divided_anew = any(not path.match(same) for path in place.glob(ALL_LOGS))
    return ALL_LOGS if is_divided_anew or len(list(place.glob(ALL_LISTS))) > 1 else logs_of(part)


@dataclass(frozen=True)
class Entry:
    """A log line about one image.

    Args:
        stem: stem of the image, which its outputs are named after; the same in all processes.
        key: absolute name of the image for the process that predicted it.
        image: name of the image in the table.
        at: time when the line was written, in seconds since 1970; later than all other lines that the process knew.
        state: sizes and modification times of the image's files.
        lines: lines of the table; empty if there was a problem.
        problem: why the image was not predicted; empty if it was.
    """

    stem: str
    key: str
    image: str
    at: float
    state: list[list[int]]
    lines: list[dict[str, str]]
    problem: str = ""


class PartLog:
    """The log of this process; its file is created with the first line.

    Args:
        folder: folder of predictions.
        part: part that this process predicts.
    """

    def __init__(self, folder: Path, part: Part) -> None:
        self.path = folder / PREDICTION_PARTS / logs_of(part).replace("*", secrets.token_hex(8))
        self._part, self._began = part, time.time()

    def add(self, entry: Entry) -> None:
        """Append a line.

        Raises:
            PromiseError: if the log cannot be written.
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
                f"{self.path}: cannot write: {error.strerror}. Finished predictions are unharmed; free space, and run "
                "the same command again"
            ) from error

    def _header(self) -> dict[str, Any]:
        return {
            "part": str(self._part), "host": socket.gethostname(), "process": os.getpid(), "started": self._began,
            "system": system_name(), "process_started": own_start(), "promise_seg": __version__,
            "torch": torch.__version__,
        }  # fmt: skip


class LogReader:
    """Reader of logs, which can later read the lines that were added since.

    Args:
        folder: folder of predictions.
        ends: maps names of logs to the number of bytes to skip.
    """

    def __init__(self, folder: Path, ends: Mapping[str, int] | None = None) -> None:
        self._folder = folder / PREDICTION_PARTS
        self.ends = dict(ends or {})
        """Number of bytes read of each log, by the name of the log."""
        self.damaged = 0
        """Number of damaged lines, which were skipped."""
        self.torch_versions: set[str] = set()
        """PyTorch versions of the processes whose logs were read."""
        self.headers: list[dict[str, Any]] = []
        """First lines of the logs that were read, which identify their processes."""

    def new_entries(self, pattern: str = ALL_LOGS) -> Iterator[Entry]:
        """Yield the new entries, log by log; a line that is still being written is left for later.

        Raises:
            PromiseError: if a log cannot be read.
        """
        for some in self.new_ranges(pattern):
            found = lines_in(some)
            self.note_read(some, found.end)
            yield from (entry for line in found.lines if (entry := self.entry(line)) is not None)

    def new_ranges(self, pattern: str = ALL_LOGS) -> list[LogRange]:
        """Return the unread parts of the logs, one log after the other, in ranges of 4 MiB.

        Raises:
            PromiseError: if a log cannot be opened.
        """
        paths = sorted(self._folder.glob(pattern))
        return [some for path in paths for some in ranges_of(path, self.ends.get(path.name, 0), _BYTES_AT_ONCE)]

    def note_read(self, some: LogRange, end: int) -> None:
        """Record that a range was read; ``end`` is the byte offset of the end of its last line, or 0."""
        self.ends[some.path.name] = max(self.ends.get(some.path.name, 0), end)

    def at(self, name: str, place: int) -> Entry | None:
        """Return the entry at a byte offset of a log; ``None`` if it is no longer there.

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
        """Parse a line; return ``None`` for the first line of a log or a damaged line, which are recorded."""
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
