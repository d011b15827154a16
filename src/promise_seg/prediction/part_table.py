"""The table of a process that predicts a part: what all processes know of its images, and its own log."""

import bisect
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promise_seg.images.exports.input_list import InputList
from promise_seg.images.exports.inputs import Input
from promise_seg.parts import Part
from promise_seg.prediction.overlay import overlay_path
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.part_index import PartIndex
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

    def __init__(self, folder: Path, part: Part, inputs: InputList, instances: bool, *, read: bool = True) -> None:
        self._all = inputs
        self._folder, self._files = folder, PartFiles(folder, instances)
        self._index = PartIndex(inputs[part.slice])
        self._begun: dict[str, Input] = {}  # and not settled, by key
        self._stems: dict[str, str] = {}  # of those, and of what is in their places, by key
        self._states: dict[str, list[list[int]]] = {}
        self._reader, self._own_log = LogReader(folder), PartLog(folder, part)
        if read:
            self._index.take_in(self._reader, logs_that_may_know(folder, part), self._is_as_then, self._files)

    @property
    def inputs(self) -> InputList:
        """The images of the part; when it is known which are missing, these."""
        return self._index.inputs

    def missing(self) -> InputList:
        """Return the images of the part that no process has predicted yet, as far as the logs say that were read.

        The table is one of these images from now on.
        """
        self._index = self._index.narrowed(self._index.missing())
        return self.inputs

    def number(self, one: Input) -> int:
        """Return which of the images of the table this is, from 0."""
        number = self._index.number(one.stem)
        assert number is not None, one
        return number

    @property
    def ends(self) -> dict[str, int]:
        """How much of each log was read, for those who are told of its images by :meth:`piece`."""
        return dict(self._reader.ends)

    def piece(self, one: Input) -> "Piece":
        """Return an image with all that is known of it, for a process that has not read the logs."""
        number = self._index.number(one.stem)
        latest = None if number is None else self._index.latest(number)
        return Piece(one, self._entry(one.stem), latest, self.first_below(one.stem))

    def is_done_meanwhile(self, one: Input) -> bool:
        """Whether another process has predicted an image; all logs are read again only if its overlay is there."""
        if not overlay_path(self._folder, one.stem).exists():
            return False
        self._index.take_in(self._reader, ALL_LOGS, self._is_as_then, self._files)
        number = self.number(one)
        entry = self._index.entry(number, self._reader)
        return entry is not None and not self._index.has_failed_since(number) and self._is_as_then(number, entry)

    def note_state(self, one: Input) -> None:
        """Note the state of an image's files before they are read.

        Raises:
            ImageError: if they cannot be read.
        """
        self._begun[one.key], self._stems[one.key] = one, one.stem
        self._states[one.key] = one.state()

    def note_problem(self, one: Input, problem: str) -> None:
        """Log why an image was not predicted."""
        self._add(one, [], problem)
        self._settle(one)

    def note_unchanged(self, one: Input) -> None:
        """Log the lines of an image again that was read, as its files seemed to be others, and has its old content."""
        if one.key in self._states and (lines := self.lines(one.key)):
            self._add(one, lines)
        self._settle(one)

    def _settle(self, one: Input) -> None:
        self._begun.pop(one.key, None)
        self._stems.pop(one.key, None)

    def lines(self, key: str) -> Lines:
        """The lines of an image that was begun; none if it was not predicted."""
        found = self._entry(self._stems.get(key, ""))
        return found.lines if found is not None and found.key == key else []

    def all_lines(self) -> list[Lines]:
        """The lines of the images that are known to be predicted."""
        found = (self._entry(stem) for stem in self.inputs.stems())
        return [entry.lines for entry in found if entry is not None]

    def owner(self, stem: str) -> str | None:
        """The key of the image whose mask has this stem, as the process knew it that predicted it."""
        found = self._entry(stem)
        if found is not None:
            self._stems.setdefault(found.key, stem)
        return None if found is None else found.key

    def first_below(self, folder: str) -> str | None:
        """The name of an image whose mask is, or will be, in a folder of masks."""
        place = bisect.bisect_left(range(len(self._all)), f"{folder}/", key=self._all.stem)
        is_below = place < len(self._all) and self._all.stem(place).startswith(f"{folder}/")
        return self._all[place].name if is_below else None

    def image_of(self, key: str) -> str:
        """The name of an image."""
        return self._begun[key].name if key in self._begun else key

    def put(self, key: str, lines: Lines) -> None:
        """Log the lines of an image that was begun.

        Raises:
            PromiseError: if they cannot be written.
        """
        self._add(self._begun[key], lines)

    def take_out(self, key: str) -> Lines:
        """Forget the lines of an image and return them."""
        stem = self._stems[key]
        found, number = self._entry(stem), self._index.number(stem)
        assert found is not None, key
        assert number is not None, key
        self._index.forget(number)
        return found.lines

    @property
    def is_due(self) -> bool:
        """Never: what was put into it is in the log."""
        return False

    def save(self) -> None:
        """Do nothing: what was put into it is in the log."""

    def _entry(self, stem: str) -> Entry | None:
        number = self._index.number(stem)
        return None if number is None else self._index.entry(number, self._reader)

    def _add(self, one: Input, lines: Lines, problem: str = "") -> None:
        """Log what became of an image, with a later time than all that is known of it: clocks may differ."""
        number = self._index.number(one.stem)
        latest = None if number is None else self._index.latest(number)
        at = max(time.time(), math.nextafter(latest or 0.0, math.inf))
        state = self._states.pop(one.key, [])
        self._own_log.add(Entry(one.stem, one.key, one.name, at, state, list(lines), problem))

    def _is_as_then(self, number: int, entry: Entry) -> bool:
        """Whether all about an image is there, and its files have not changed since it was predicted."""
        inputs = self._index.inputs
        return (
            bool(entry.lines)
            and entry.key == inputs.key(number)
            and inputs.has_state(number, entry.state)
            and self._files.first_gone(entry.stem, entry.lines[0]["mask"]) is None
        )


class PieceTable(PartTable):
    """The same for a process that is told which images to predict, and what is known of them, a few at a time.

    Args:
        folder: of the predictions.
        instances: whether a table of objects belongs to each image.
        ends: how much of each log is known to whoever tells of the images.
    """

    def __init__(self, folder: Path, instances: bool, ends: Mapping[str, int] | None = None) -> None:
        super().__init__(folder, Part(1, 1), InputList(), instances, read=False)
        self._again, self._known_ends, self._new = False, dict(ends or {}), set[str]()
        self._below: dict[str, str] = {}

    def begin(self, pieces: Sequence[Piece], again: bool) -> None:
        """Forget all images, and take these.

        Args:
            pieces: images with what is known of them.
            again: whether others may have predicted some of them since that was known.
        """
        self._index = PartIndex(InputList(piece.input for piece in pieces), holds=True)
        for number, piece in enumerate(pieces):
            self._index.give(number, piece.found, piece.latest)
        self._below = {piece.input.stem: piece.below for piece in pieces if piece.below is not None}
        self._new = {piece.input.stem for piece in pieces if piece.latest is None}
        self._states, self._begun, self._stems = {}, {}, {}
        self._reader, self._again = LogReader(self._folder, self._known_ends), again

    def is_done_meanwhile(self, one: Input) -> bool:
        """Whether another process has predicted an image since, where that may be: its overlay is there and was not."""
        return (self._again or one.stem in self._new) and super().is_done_meanwhile(one)

    def first_below(self, folder: str) -> str | None:
        """The name of an image whose mask is, or will be, in a folder of masks, as it came with the image."""
        return self._below.get(folder)
