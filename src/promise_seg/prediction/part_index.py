"""An index of logs: the place of the last line about each image of a list, in about forty bytes per image."""

from collections.abc import Callable
from operator import eq

import numpy as np
from numpy.typing import NDArray

from promise_seg.images.exports.input_list import InputList, encoded
from promise_seg.parallel.workers import Workers
from promise_seg.prediction.line_outlines import Outlines, outlined_lines_in, unoutlined_lines_in
from promise_seg.prediction.log_ranges import LogRange
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.part_logs import Entry, LogReader
from promise_seg.prediction.recorded import Recorded
from promise_seg.processes import cores

_NOWHERE = -1
_OF_NO_FILE = b"\0"
_BITS = 40  # for the byte offset of a line in its log
_WORTH_WORKERS = 1 << 28  # bytes of logs from which worker processes are worthwhile
_MOST_WORKERS = 4  # with more, they would wait for this process

Judge = Callable[[int, Entry], bool]
"""Function that tells whether the image with a number and its outputs are unchanged since a log line was written."""


class PartIndex:
    """The last log lines about the images of a list, by the numbers of the images.

    Args:
        inputs: the images.
        holds: whether the lines of predicted images are kept in memory, which suits short lists only.
    """

    def __init__(self, inputs: InputList, *, holds: bool = False) -> None:
        self.inputs, self._holds = inputs, holds
        hashes = inputs.hashes()
        self._order = np.argsort(hashes).astype(np.uint32)
        self._hashes = hashes[self._order]
        self._latest = np.zeros(len(inputs))  # times of the last lines, including those about problems
        self._predicted = np.zeros(len(inputs))  # times of the last lines about predictions
        self._is_as_then = np.zeros(len(inputs), bool)
        # log number and byte offset of the line of each predicted image; combined in one number, because another thread
        # may read it at the same time
        self._places = np.full(len(inputs), _NOWHERE)
        self._logs: list[str] = []
        self._held: dict[int, Entry] = {}

    def narrowed(self, numbers: NDArray[np.int64]) -> "PartIndex":
        """Return an index of some of the images, without the lines in memory; this index if these are all images."""
        if len(numbers) == len(self.inputs):
            return self
        found = PartIndex(self.inputs.chosen(numbers))
        found._latest, found._predicted = self._latest[numbers], self._predicted[numbers]
        found._is_as_then = self._is_as_then[numbers]
        found._places, found._logs = self._places[numbers], self._logs
        return found

    def missing(self) -> NDArray[np.int64]:
        """Return the numbers of the images that were not predicted, have failed since, or have changed since."""
        return np.flatnonzero(~self._is_as_then | (self._predicted < self._latest))

    def number(self, stem: str) -> int | None:
        """Return the number of the image with this stem; ``None`` if it is not in the list."""
        found = int(self._numbers([_in_bytes(stem)])[0])
        return None if found == _NOWHERE else found

    def _numbers(self, stems: list[bytes]) -> NDArray[np.int64]:
        """Return the numbers of images (N) by their stems (N); -1 for images that are not in the list.

        Images at the same distance in the list as the first two are found by comparing stems, without hashing.
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
        """Return the number of an image whose stem has the same hash as another image's."""
        while place < len(self._hashes) and self._hashes[place] == wanted:
            if self.inputs.stems_of(self._order[place : place + 1]) == [stem]:
                return int(self._order[place])
            place += 1
        return _NOWHERE

    def take_in(self, reader: LogReader, pattern: str, judge: Judge, files: PartFiles) -> None:
        """Read the new lines of logs; the latest line about each image counts.

        Args:
            reader: reader of the logs.
            pattern: pattern of the names of the logs.
            judge: called for each line about a prediction, unless an outline of the line is sufficient.
            files: output files of the predictions.

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
        """Record the time of an entry, and return whether it is the latest one about a prediction of the image."""
        self._latest[number] = max(self._latest[number], entry.at)
        return not entry.problem and entry.at >= self._predicted[number]

    def _note(self, outlines: Outlines, places: NDArray[np.int64], recorded: Recorded) -> None:
        """Record the outlines of images in the list; the last one about each image counts."""
        if not len(self.inputs) or not outlines.stems:
            return
        numbers = self._numbers(outlines.stems)
        have_keys = np.fromiter(map(eq, self.inputs.keys_of(numbers), outlines.keys), bool, len(numbers))
        order = np.argsort(outlines.at, kind="stable")  # with repeated indices, the last value stays
        order = order[numbers[order] != _NOWHERE]
        self._latest[numbers[order]] = np.maximum(self._latest[numbers[order]], outlines.at[order])
        order = order[outlines.at[order] >= self._predicted[numbers[order]]]
        numbers = numbers[order]
        self._predicted[numbers], self._places[numbers] = outlines.at[order], places[order]
        sizes, changes, suffixes = outlines.sizes[order], outlines.changes[order], outlines.suffixes[order]
        recorded.note(numbers, sizes, changes, suffixes, have_keys[order])

    def give(self, number: int, entry: Entry | None, latest: float | None) -> None:
        """Set the last line about an image's prediction, if any, and the time of the last line about the image."""
        if entry is not None:
            self._held[number], self._predicted[number] = entry, entry.at
        if latest is not None:
            self._latest[number] = latest

    def forget(self, number: int) -> None:
        """Forget the prediction of an image."""
        self._held.pop(number, None)
        self._places[number], self._predicted[number], self._is_as_then[number] = _NOWHERE, 0.0, False

    def entry(self, number: int, reader: LogReader) -> Entry | None:
        """Return the last line about the prediction of an image; ``None`` if there is none.

        Raises:
            PromiseError: if the log cannot be read.
        """
        held, place = self._held.get(number), int(self._places[number])
        if held is not None or place == _NOWHERE:
            return held
        return reader.at(self._logs[place >> _BITS], place & (1 << _BITS) - 1)

    def latest(self, number: int) -> float | None:
        """Return the time of the last line about an image; ``None`` if there is none."""
        return float(self._latest[number]) or None

    def has_failed_since(self, number: int) -> bool:
        """Whether an image has failed since it was predicted."""
        return bool(self._predicted[number] < self._latest[number])


def _workers_for(ranges: list[LogRange]) -> int:
    """Return the number of processes that read logs; 1 if starting others would take longer than reading."""
    is_much = sum(some.end - some.start for some in ranges) >= _WORTH_WORKERS
    return min(cores(), _MOST_WORKERS) if is_much else 1


def _in_bytes(stem: str) -> bytes:
    try:
        return encoded(stem)
    except UnicodeEncodeError:
        return _OF_NO_FILE
