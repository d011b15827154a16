"""An index of logs: where the last word on each image of a list is, in about forty bytes an image."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from promise_seg.images.exports.input_list import InputList
from promise_seg.prediction.line_outlines import Outline
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.part_logs import Entry, LogReader
from promise_seg.prediction.recorded import Recorded, quick_view

_AT_ONCE = 128  # few, as Python looks through all that is held whenever it tidies up
_NOWHERE = -1
_BITS = 40  # of the number of bytes before a line in its log

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
        hashes = np.fromiter(map(hash, inputs.stems()), np.int64, len(inputs))
        self._order = np.argsort(hashes, kind="stable").astype(np.uint32)
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
        (found,) = self._numbers([stem])
        return found

    def _numbers(self, stems: Sequence[str]) -> Iterator[int | None]:
        """Yield the numbers of images; if they follow each other as the first two do, by stems alone."""
        first = list(self._looked_up(stems[:2]))
        if len(first) < 2 or None in first:
            return iter([*first, *self._looked_up(stems[2:])])
        start, second = first
        assert start is not None
        assert second is not None
        guesses = zip(itertools.count(start, second - start), stems, strict=False)
        found = [number if self._is(number, stem) else None for number, stem in guesses]
        others = [place for place, number in enumerate(found) if number is None]
        for place, number in zip(others, self._looked_up([stems[place] for place in others]), strict=True):
            found[place] = number
        return iter(found)

    def _is(self, number: int, stem: str) -> bool:
        return 0 <= number < len(self.inputs) and self.inputs.stem(number) == stem

    def _looked_up(self, stems: Sequence[str]) -> Iterator[int | None]:
        hashes = np.fromiter(map(hash, stems), np.int64, len(stems))
        for stem, wanted, place in zip(stems, hashes, np.searchsorted(self._hashes, hashes), strict=True):
            found = None
            while place < len(self._hashes) and self._hashes[place] == wanted:
                if self.inputs.stem(int(self._order[place])) == stem:
                    found = int(self._order[place])
                    break
                place += 1
            yield found

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
        lines = reader.new_places(pattern, whole=self._holds)
        log = {name: number for number, name in enumerate(self._logs)}
        recorded = Recorded(self.inputs)
        latest, predicted, places = map(quick_view, (self._latest, self._predicted, self._places))
        while batch := list(itertools.islice(lines, _AT_ONCE)):
            for (name, place, line), number in zip(batch, self._numbers([one.stem for *_, one in batch]), strict=True):
                if number is None:
                    continue
                if line.at > latest[number]:
                    latest[number] = line.at
                if line.problem or line.at < predicted[number]:
                    continue
                if name not in log:
                    log[name] = len(self._logs)
                    self._logs.append(name)
                predicted[number], places[number] = line.at, log[name] << _BITS | place
                if isinstance(line, Outline):
                    recorded.note(number, line)
                    continue
                recorded.forget(number)
                self._is_as_then[number] = judge(number, line)
                if self._holds:
                    self._held[number] = line
        for numbers, are_as_then in recorded.as_then(files):
            self._is_as_then[numbers] = are_as_then

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
