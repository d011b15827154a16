"""An index of logs: where the last word on each image of a list is, in about forty bytes an image."""

from collections.abc import Callable
from operator import eq

import numpy as np
from numpy.typing import NDArray

from promise_seg.images.exports.input_list import InputList, encoded
from promise_seg.prediction.line_outlines import Outlines, outlined_lines_in, unoutlined_lines_in
from promise_seg.prediction.log_ranges import LogRange
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.part_logs import Entry, LogReader
from promise_seg.prediction.recorded import Recorded
from promise_seg.processes import cores
from promise_seg.workers import Workers

_NOWHERE = -1
_OF_NO_FILE = b"\0"
_BITS = 40  # of the number of bytes before a line in its log
_WORTH_WORKERS = 1 << 28  # bytes of logs
_MOST_WORKERS = 4  # with more, they would wait for this process

Judge = Callable[[int, Entry], bool]
"""Says of the number of an image and of a line by which it was predicted whether all about it is as it was then."""


class PartIndex:
    """The last lines of logs on the images of a list, by the numbers of these.

    Args:
        inputs: the images.
        holds: whether the lines by which images were predicted are held in memory, as a few may be.
    """

    def __init__(self, inputs: InputList, *, holds: bool = False) -> None:
        self.inputs, self._holds = inputs, holds
        hashes = inputs.hashes()
        self._order = np.argsort(hashes).astype(np.uint32)
        self._hashes = hashes[self._order]
        self._latest = np.zeros(len(inputs))  # times of the last lines, also of those that are about problems
        self._predicted = np.zeros(len(inputs))  # times of the last lines by which images were predicted
        self._is_as_then = np.zeros(len(inputs), bool)
        # of lines by which images were predicted: which log, and how many bytes are before it; one number for both, as
        # another thread may ask meanwhile
        self._places = np.full(len(inputs), _NOWHERE)
        self._logs: list[str] = []
        self._held: dict[int, Entry] = {}

    def narrowed(self, numbers: NDArray[np.int64]) -> "PartIndex":
        """Return the index of some of the images, without the lines that are held; the same if these are all."""
        if len(numbers) == len(self.inputs):
            return self
        found = PartIndex(self.inputs.chosen(numbers))
        found._latest, found._predicted = self._latest[numbers], self._predicted[numbers]
        found._is_as_then = self._is_as_then[numbers]
        found._places, found._logs = self._places[numbers], self._logs
        return found

    def missing(self) -> NDArray[np.int64]:
        """Return the numbers of the images that were not predicted, failed since or are not as they were then."""
        return np.flatnonzero(~self._is_as_then | (self._predicted < self._latest))

    def number(self, stem: str) -> int | None:
        """Return the number of the image with a stem; ``None`` if it is not in the list."""
        found = int(self._numbers([_in_bytes(stem)])[0])
        return None if found == _NOWHERE else found

    def _numbers(self, stems: list[bytes]) -> NDArray[np.int64]:
        """Return the numbers of images (N) by their stems (N); -1 for those that are not in the list.

        Images that follow each other as the first two do are found by comparing stems alone.
        """
        if len(stems) < 3 or not len(self.inputs):
            return self._looked_up(stems)
        start, second = self._looked_up(stems[:2]).tolist()
        numbers = np.clip(start + (second - start) * np.arange(len(stems)), 0, len(self.inputs) - 1)
        guesses = zip(self.inputs.stems_of(numbers), stems, strict=True)
        others = [line for line, (guess, stem) in enumerate(guesses) if guess != stem]
        numbers[others] = self._looked_up([stems[line] for line in others])
        return numbers

    def _looked_up(self, stems: list[bytes]) -> NDArray[np.int64]:
        if not len(self.inputs):
            return np.full(len(stems), _NOWHERE)
        hashes = np.fromiter(map(hash, stems), np.int64, len(stems))
        places = np.searchsorted(self._hashes, hashes)
        numbers = self._order[np.minimum(places, len(self._hashes) - 1)].astype(np.int64)
        found = self.inputs.stems_of(numbers)
        if found != stems:
            for line, stem in enumerate(stems):
                if found[line] != stem:
                    numbers[line] = self._number_after(int(places[line]), int(hashes[line]), stem)
        return numbers

    def _number_after(self, place: int, wanted: int, stem: bytes) -> int:
        """Return the number of an image that shares the hash of its stem with another one."""
        while place < len(self._hashes) and self._hashes[place] == wanted:
            if self.inputs.stems_of(self._order[place : place + 1]) == [stem]:
                return int(self._order[place])
            place += 1
        return _NOWHERE

    def take_in(self, reader: LogReader, pattern: str, judge: Judge, files: PartFiles) -> None:
        """Read what logs have that was not read before; the latest word counts.

        Args:
            reader: of the logs.
            pattern: of their names.
            judge: called for each line by which an image was predicted, but for those of which an outline is enough.
            files: of the predictions.

        Raises:
            PromiseError: if a log cannot be read.
        """
        recorded = Recorded(self.inputs)
        ranges = reader.new_ranges(pattern)
        read = unoutlined_lines_in if self._holds else outlined_lines_in
        with Workers(_workers_for(ranges)) as workers:
            for some, found in workers.mapped(read, ranges):
                log = self._number_of_log(some.path.name)
                self._note(found.outlines, log << _BITS | found.places, recorded)
                entries = [(place, entry) for place, line in found.others if (entry := reader.entry(line)) is not None]
                numbers = self._numbers([_in_bytes(entry.stem) for _, entry in entries])
                for (place, entry), number in zip(entries, numbers.tolist(), strict=True):
                    if number == _NOWHERE or not self._is_latest(number, entry):
                        continue
                    self._predicted[number], self._places[number] = entry.at, log << _BITS | place
                    recorded.forget(number)
                    self._is_as_then[number] = judge(number, entry)
                    if self._holds:
                        self._held[number] = entry
                reader.note_read(some, found.end)
            for numbers, are_as_then in recorded.as_then(files, workers):
                self._is_as_then[numbers] = are_as_then

    def _number_of_log(self, name: str) -> int:
        if name not in self._logs:
            self._logs.append(name)
        return self._logs.index(name)

    def _is_latest(self, number: int, entry: Entry) -> bool:
        """Note the time of an entry on an image, and return whether the image was predicted then, and not later."""
        self._latest[number] = max(self._latest[number], entry.at)
        return not entry.problem and entry.at >= self._predicted[number]

    def _note(self, outlines: Outlines, places: NDArray[np.int64], recorded: Recorded) -> None:
        """Note the outlines of images in the list; of several on an image, the last counts."""
        if not len(self.inputs) or not outlines.stems:
            return
        numbers = self._numbers(outlines.stems)
        have_keys = np.fromiter(map(eq, self.inputs.keys_of(numbers), outlines.keys), bool, len(numbers))
        order = np.argsort(outlines.at, kind="stable")  # of what is assigned to one place, the last stays
        order = order[numbers[order] != _NOWHERE]
        self._latest[numbers[order]] = np.maximum(self._latest[numbers[order]], outlines.at[order])
        order = order[outlines.at[order] >= self._predicted[numbers[order]]]
        numbers = numbers[order]
        self._predicted[numbers], self._places[numbers] = outlines.at[order], places[order]
        sizes, changes, suffixes = outlines.sizes[order], outlines.changes[order], outlines.suffixes[order]
        recorded.note(numbers, sizes, changes, suffixes, have_keys[order])

    def give(self, number: int, entry: Entry | None, latest: float | None) -> None:
        """Hold the last line by which an image was predicted, if any, and the time of the last one on it."""
        if entry is not None:
            self._held[number], self._predicted[number] = entry, entry.at
        if latest is not None:
            self._latest[number] = latest

    def forget(self, number: int) -> None:
        """Forget the line by which an image was predicted."""
        self._held.pop(number, None)
        self._places[number], self._predicted[number], self._is_as_then[number] = _NOWHERE, 0.0, False

    def entry(self, number: int, reader: LogReader) -> Entry | None:
        """Return the last line by which an image was predicted.

        Raises:
            PromiseError: if its log cannot be read.
        """
        held, place = self._held.get(number), int(self._places[number])
        if held is not None or place == _NOWHERE:
            return held
        return reader.at(self._logs[place >> _BITS], place & (1 << _BITS) - 1)

    def latest(self, number: int) -> float | None:
        """Return the time of the last line on an image; ``None`` if there is none."""
        return float(self._latest[number]) or None

    def has_failed_since(self, number: int) -> bool:
        """Whether a later line than that by which an image was predicted is about a problem."""
        return bool(self._predicted[number] < self._latest[number])


def _workers_for(ranges: list[LogRange]) -> int:
    """Return how many processes read ranges of logs: one if the others would take longer to start."""
    is_much = sum(some.end - some.start for some in ranges) >= _WORTH_WORKERS
    return min(cores(), _MOST_WORKERS) if is_much else 1


def _in_bytes(stem: str) -> bytes:
    try:
        return encoded(stem)
    except UnicodeEncodeError:
        return _OF_NO_FILE
