"""The table of a process that predicts a part: what all processes know of its images, and its own log."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import Input, keys_of
from promise_seg.parts import Part
from promise_seg.prediction.overlay import overlay_path
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.part_logs import ALL_LOGS, Entry, LogReader, PartLog, logs_that_may_know
from promise_seg.prediction.table import Lines


@dataclass(frozen=True)
class Piece:
    """An image, with what is to be known for predicting it alone.

    Args:
        input: the image.
        found: the last line of the logs by which it was predicted.
        latest: the time of the last line on it.
        below: the name of an image whose mask is, or will be, in a folder that is named as this one's mask.
    """

    input: Input
    found: Entry | None = None
    latest: float | None = None
    below: str | None = None


class PartTable:
    """The lines of a part's images in the logs of all processes; what is put into it goes into the log of this one.

    Args:
        folder: of the predictions.
        part: that this process predicts.
        inputs: all images of all parts, in the order of their stems.
        instances: whether a table of objects belongs to each image.
        read: whether the logs are read now.

    Raises:
        PromiseError: if a log cannot be read.
    """

    def __init__(
        self, folder: Path, part: Part, inputs: Sequence[Input], instances: bool, *, read: bool = True
    ) -> None:
        self.inputs = part.of(inputs)
        self._folder = folder
        self._files = PartFiles(folder, instances)
        self._keys = {one.stem: key for one, key in zip(self.inputs, keys_of(self.inputs), strict=True)}
        self._stems = {key: stem for stem, key in self._keys.items()}
        self._names = {self._keys[one.stem]: one.name for one in self.inputs}
        self._above = _folders_of(inputs)
        self._states: dict[str, list[list[int]]] = {}
        self._found: dict[str, Entry] = {}
        self._latest: dict[str, float] = {}  # times of the last lines by stem, also of those that are about problems
        self._reader, self._own_log = LogReader(folder), PartLog(folder, part)
        self._wanted = {one.stem for one in self.inputs}
        if read:
            self._take_in(logs_that_may_know(folder, part))

    def missing(self) -> list[Input]:
        """Return the images of the part that no process has predicted yet, as far as the logs say that were read."""
        missing = [one for one in self.inputs if not self._is_done(one)]
        self._wanted = {one.stem for one in missing}
        self._found = {stem: entry for stem, entry in self._found.items() if stem in self._wanted}
        self._latest = {stem: at for stem, at in self._latest.items() if stem in self._wanted}
        return missing

    @property
    def ends(self) -> dict[str, int]:
        """How much of each log was read, for those who are told of its images by :meth:`piece`."""
        return dict(self._reader.ends)

    def piece(self, one: Input) -> "Piece":
        """Return an image with all that is known of it, for a process that has not read the logs."""
        return Piece(one, self._found.get(one.stem), self._latest.get(one.stem), self.first_below(one.stem))

    def is_done_meanwhile(self, one: Input) -> bool:
        """Whether another process has predicted an image; all logs are read again only if its overlay is there."""
        if not overlay_path(self._folder, one.stem).exists():
            return False
        self._take_in(ALL_LOGS)
        return self._is_done(one)

    def note_state(self, one: Input) -> None:
        """Note the state of an image's files before they are read.

        Raises:
            ImageError: if they cannot be read.
        """
        self._states[one.key] = one.state()

    def note_problem(self, one: Input, problem: str) -> None:
        """Log why an image was not predicted."""
        self._add(one.stem, one.key, one.name, [], problem)

    def note_unchanged(self, one: Input) -> None:
        """Log the lines of an image again that was read, as its files seemed to be others, and has its old content."""
        if one.key in self._states and (lines := self.lines(one.key)):
            self._add(one.stem, one.key, one.name, lines)

    def lines(self, key: str) -> Lines:
        """The lines of an image; none if it was not predicted."""
        found = self._found.get(self._stems.get(key, ""))
        return found.lines if found is not None and found.key == key else []

    def all_lines(self) -> list[Lines]:
        """The lines of the images that are known to be predicted."""
        return [entry.lines for entry in self._found.values()]

    def owner(self, stem: str) -> str | None:
        """The key of the image whose mask has this stem, as the process knew it that predicted it."""
        found = self._found.get(stem)
        if found is not None:
            self._stems.setdefault(found.key, stem)
        return None if found is None else found.key

    def first_below(self, folder: str) -> str | None:
        """The name of an image whose mask is, or will be, in a folder of masks."""
        found = self._above.get(folder)
        return None if found is None else found.name

    def image_of(self, key: str) -> str:
        """The name of an image."""
        return self._names.get(key, key)

    def put(self, key: str, lines: Lines) -> None:
        """Log the lines of an image.

        Raises:
            PromiseError: if they cannot be written.
        """
        self._add(self._stems[key], key, self._names[key], lines)

    def take_out(self, key: str) -> Lines:
        """Forget the lines of an image and return them."""
        return self._found.pop(self._stems[key]).lines

    @property
    def is_due(self) -> bool:
        """Never: what was put into it is in the log."""
        return False

    def save(self) -> None:
        """Do nothing: what was put into it is in the log."""

    def _add(self, stem: str, key: str, name: str, lines: Lines, problem: str = "") -> None:
        """Log what became of an image, with a later time than all that is known of it: clocks may differ."""
        at = max(time.time(), math.nextafter(self._latest.get(stem, 0.0), math.inf))
        self._own_log.add(Entry(stem, key, name, at, self._states.pop(key, []), list(lines), problem))

    def _take_in(self, pattern: str) -> None:
        """Read what the logs have on the images of the part that are still wanted; the latest word counts."""
        for entry in self._reader.new_entries(pattern):
            if entry.stem not in self._wanted:
                continue
            self._latest[entry.stem] = max(entry.at, self._latest.get(entry.stem, entry.at))
            if entry.problem:
                continue
            known = self._found.get(entry.stem)
            if known is None or entry.at >= known.at:
                self._found[entry.stem] = entry

    def _is_done(self, one: Input) -> bool:
        """Whether all about an image is there, its files have not changed since, and it did not fail since."""
        entry = self._found.get(one.stem)
        if entry is None or entry.key != self._keys[one.stem] or not entry.lines or entry.at < self._latest[one.stem]:
            return False
        try:
            if entry.state != one.state():
                return False
        except ImageError:
            return False
        return self._files.first_gone(one.stem, entry.lines[0]["mask"]) is None


class PieceTable(PartTable):
    """The same for a process that is told which images to predict, and what is known of them, a few at a time.

    Args:
        folder: of the predictions.
        instances: whether a table of objects belongs to each image.
        ends: how much of each log is known to whoever tells of the images.
    """

    def __init__(self, folder: Path, instances: bool, ends: Mapping[str, int] | None = None) -> None:
        super().__init__(folder, Part(1, 1), (), instances, read=False)
        self._again, self._known_ends, self._new = False, dict(ends or {}), set[str]()
        self._below: dict[str, str] = {}

    def begin(self, pieces: Sequence[Piece], again: bool) -> None:
        """Forget all images, and take these.

        Args:
            pieces: images with what is known of them.
            again: whether others may have predicted some of them since that was known.
        """
        self.inputs = [piece.input for piece in pieces]
        self._keys = {one.stem: one.key for one in self.inputs}
        self._stems = {key: stem for stem, key in self._keys.items()}
        self._names = {self._keys[one.stem]: one.name for one in self.inputs}
        self._below = {piece.input.stem: piece.below for piece in pieces if piece.below is not None}
        self._found = {piece.input.stem: piece.found for piece in pieces if piece.found is not None}
        self._latest = {piece.input.stem: piece.latest for piece in pieces if piece.latest is not None}
        self._states, self._wanted = {}, set(self._stems.values())
        self._new = self._wanted - self._latest.keys()
        self._reader, self._again = LogReader(self._folder, self._known_ends), again

    def is_done_meanwhile(self, one: Input) -> bool:
        """Whether another process has predicted an image since, where that may be: its overlay is there and was not."""
        return (self._again or one.stem in self._new) and super().is_done_meanwhile(one)

    def first_below(self, folder: str) -> str | None:
        """The name of an image whose mask is, or will be, in a folder of masks, as it came with the image."""
        return self._below.get(folder)


def _folders_of(inputs: Sequence[Input]) -> dict[str, Input]:
    """Return the folders that masks of inputs are in, at any depth, each with one of these inputs."""
    found: dict[str, Input] = {}
    for one in inputs:
        folder = one.stem.rpartition("/")[0]
        while folder and folder not in found:
            found[folder] = one
            folder = folder.rpartition("/")[0]
    return found
