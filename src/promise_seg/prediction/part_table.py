"""The table of a process that predicts a part: the logged lines of all processes, and the log of this process."""

import bisect
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promise_seg.images.exports.input_list import InputList
from promise_seg.images.exports.inputs import Input
from promise_seg.parallel.parts import Part
from promise_seg.prediction.overlay import overlay_path
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.part_index import PartIndex
from promise_seg.prediction.part_logs import ALL_LOGS, Entry, LogReader, PartLog, logs_that_may_know
from promise_seg.prediction.table import Lines


@dataclass(frozen=True)
class Piece:
    """An image, with all that a process needs to know to predict it.

    Args:
        input: the image.
        found: the last log line about the image's prediction, if any.
        latest: time of the last log line about the image, if any.
        below: name of an image whose mask is, or will be, in a folder with the same name as this image's mask.
    """

    input: Input
    found: Entry | None = None
    latest: float | None = None
    below: str | None = None


class PartTable:
    """The lines of a part's images in the logs of all processes; new lines go into the log of this process.

    Args:
        folder: folder of predictions.
        part: part that this process predicts.
        inputs: all images of all parts, in the order of their stems.
        instances: whether each image has a table of objects.
        read: whether to read the logs immediately.

    Raises:
        PromiseError: if a log cannot be read.
    """

    def __init__(self, folder: Path, part: Part, inputs: InputList, instances: bool, *, read: bool = True) -> None:
        self._all = inputs
        self._folder, self._files = folder, PartFiles(folder, instances)
        self._index = PartIndex(inputs[part.slice])
        self._begun: dict[str, Input] = {}  # images that are being predicted, by key
        self._stems: dict[str, str] = {}  # stems of these, and of the images in their places, by key
        self._states: dict[str, list[list[int]]] = {}
        self._reader, self._own_log = LogReader(folder), PartLog(folder, part)
        if read:
            self._index.take_in(self._reader, logs_that_may_know(folder, part), self._is_as_then, self._files)

    @property
    def inputs(self) -> InputList:
        """The images of the part; after a call of :meth:`missing`, only those that were missing."""
        return self._index.inputs

    def missing(self) -> InputList:
        """Return the images of the part that no process has predicted yet, according to the logs read so far.

        From then on, the table is limited to these images.
        """
        self._index = self._index.narrowed(self._index.missing())
        return self.inputs

    def number(self, one: Input) -> int:
        """Return the index of an image in the table."""
        number = self._index.number(one.stem)
        assert number is not None, one
        return number

    @property
    def ends(self) -> dict[str, int]:
        """Number of bytes read of each log, for processes that get images by :meth:`piece`."""
        return dict(self._reader.ends)

    def piece(self, one: Input) -> "Piece":
        """Return an image with its logged state, for a process that has not read the logs."""
        number = self._index.number(one.stem)
        latest = None if number is None else self._index.latest(number)
        return Piece(one, self._entry(one.stem), latest, self.first_below(one.stem))

    def is_done_meanwhile(self, one: Input) -> bool:
        """Whether another process has predicted an image meanwhile; new log lines are read if it has an overlay."""
        if not overlay_path(self._folder, one.stem).exists():
            return False
        self._index.take_in(self._reader, ALL_LOGS, self._is_as_then, self._files)
        number = self.number(one)
        entry = self._index.entry(number, self._reader)
        return entry is not None and not self._index.has_failed_since(number) and self._is_as_then(number, entry)

    def note_state(self, one: Input) -> None:
        """Record the state of an image's files before they are read.

        Raises:
            ImageError: if the state cannot be read.
        """
        self._begun[one.key], self._stems[one.key] = one, one.stem
        self._states[one.key] = one.state()

    def note_problem(self, one: Input, problem: str) -> None:
        """Log why an image was not predicted."""
        self._add(one, [], problem)
        self._settle(one)

    def note_unchanged(self, one: Input) -> None:
        """Log the lines of an image again if its files seemed to have changed but have the same content."""
        if one.key in self._states and (lines := self.lines(one.key)):
            self._add(one, lines)
        self._settle(one)

    def _settle(self, one: Input) -> None:
        self._begun.pop(one.key, None)
        self._stems.pop(one.key, None)

    def lines(self, key: str) -> Lines:
        """Return the lines of an image that is being predicted; empty if it was not predicted before."""
        found = self._entry(self._stems.get(key, ""))
        return found.lines if found is not None and found.key == key else []

    def all_lines(self) -> list[Lines]:
        """Return the lines of all images of the table that were predicted."""
        found = (self._entry(stem) for stem in self.inputs.stems())
        return [entry.lines for entry in found if entry is not None]

    def owner(self, stem: str) -> str | None:
        """Return the key of the image whose mask has this stem, as used by the process that predicted it."""
        found = self._entry(stem)
        if found is not None:
            self._stems.setdefault(found.key, stem)
        return None if found is None else found.key

    def first_below(self, folder: str) -> str | None:
        """Return the name of an image whose mask is, or will be, in a folder of masks; ``None`` if there is none."""
        place = bisect.bisect_left(range(len(self._all)), f"{folder}/", key=self._all.stem)
        is_below = place < len(self._all) and self._all.stem(place).startswith(f"{folder}/")
        return self._all[place].name if is_below else None

    def image_of(self, key: str) -> str:
        """Return the name of an image."""
        return self._begun[key].name if key in self._begun else key

    def put(self, key: str, lines: Lines) -> None:
        """Log the lines of an image that is being predicted.

        Raises:
            PromiseError: if the log cannot be written.
        """
        self._add(self._begun[key], lines)

    def take_out(self, key: str) -> Lines:
        """Remove the lines of an image and return them."""
        stem = self._stems[key]
        found, number = self._entry(stem), self._index.number(stem)
        assert found is not None, key
        assert number is not None, key
        self._index.forget(number)
        return found.lines

    @property
    def is_due(self) -> bool:
        """Always ``False``, because lines go into the log immediately."""
        return False

    def save(self) -> None:
        """Do nothing, because lines go into the log immediately."""

    def _entry(self, stem: str) -> Entry | None:
        number = self._index.number(stem)
        return None if number is None else self._index.entry(number, self._reader)

    def _add(self, one: Input, lines: Lines, problem: str = "") -> None:
        """Log the result for an image, with a later time than all its known lines, as clocks may differ."""
        number = self._index.number(one.stem)
        latest = None if number is None else self._index.latest(number)
        at = max(time.time(), math.nextafter(latest or 0.0, math.inf))
        state = self._states.pop(one.key, [])
        self._own_log.add(Entry(one.stem, one.key, one.name, at, state, list(lines), problem))

    def _is_as_then(self, number: int, entry: Entry) -> bool:
        """Whether all outputs of an image exist, and its files have not changed since it was predicted."""
        inputs = self._index.inputs
        return (
            bool(entry.lines)
            and entry.key == inputs.key(number)
            and inputs.has_state(number, entry.state)
            and self._files.first_gone(entry.stem, entry.lines[0]["mask"]) is None
        )


class PieceTable(PartTable):
    """The table of a process that is given a few images at a time, with their logged states.

    Args:
        folder: folder of predictions.
        instances: whether each image has a table of objects.
        ends: number of bytes of each log that the process that sends the images has read.
    """

    def __init__(self, folder: Path, instances: bool, ends: Mapping[str, int] | None = None) -> None:
        super().__init__(folder, Part(1, 1), InputList(), instances, read=False)
        self._again, self._known_ends, self._new = False, dict(ends or {}), set[str]()
        self._below: dict[str, str] = {}

    def begin(self, pieces: Sequence[Piece], again: bool) -> None:
        """Replace all images of the table.

        Args:
            pieces: new images with their logged states.
            again: whether other processes may have predicted some of the images in the meantime.
        """
        self._index = PartIndex(InputList(piece.input for piece in pieces), holds=True)
        for number, piece in enumerate(pieces):
            self._index.give(number, piece.found, piece.latest)
        self._below = {piece.input.stem: piece.below for piece in pieces if piece.below is not None}
        self._new = {piece.input.stem for piece in pieces if piece.latest is None}
        self._states, self._begun, self._stems = {}, {}, {}
        self._reader, self._again = LogReader(self._folder, self._known_ends), again

    def is_done_meanwhile(self, one: Input) -> bool:
        """Whether another process has predicted an image since, checked only where this is possible."""
        return (self._again or one.stem in self._new) and super().is_done_meanwhile(one)

    def first_below(self, folder: str) -> str | None:
        """Return the name of an image whose mask is, or will be, in a folder of masks, as given with the image."""
        return self._below.get(folder)
