"""Collect the logged states of the files of millions of images, to check all files together."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from promise_seg.images.exports.input_list import InputList
from promise_seg.parallel.workers import Workers
from promise_seg.prediction.line_outlines import SUFFIXES
from promise_seg.prediction.part_files import FilesThen, PartFiles, files_now

_TOGETHER = 8192
_NOTHING = 255
_NO_SIZE = -1


class Recorded:
    """The last lines that were read about the images of a list, in about twenty bytes per image.

    Files are checked later, in the order of the list, so all files of a folder are checked in a row, whatever their
    order in the logs.

    Args:
        inputs: the images.
    """

    def __init__(self, inputs: InputList) -> None:
        self._inputs, count = inputs, len(inputs)
        self._sizes, self._changes = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._suffixes = np.full(count, _NOTHING, np.uint8)
        self._first, self._end = count, 0  # range of the recorded numbers

    def note(
        self,
        numbers: NDArray[np.int64],
        sizes: NDArray[np.int64],
        changes: NDArray[np.int64],
        suffixes: NDArray[np.uint8],
        have_keys: NDArray[np.bool_],
    ) -> None:
        """Record the outlines of N images, replacing earlier ones; if an image occurs repeatedly, the last one counts.

        Args:
            numbers: numbers of the images.
            sizes, changes, suffixes: columns of :class:`~promise_seg.prediction.line_outlines.Outlines`.
            have_keys: whether the images have the same keys as their outlines.
        """
        if len(numbers):
            self._first = min(self._first, int(numbers.min()))
            self._end = max(self._end, int(numbers.max()) + 1)
        self._sizes[numbers] = np.where(have_keys, sizes, _NO_SIZE)
        self._changes[numbers], self._suffixes[numbers] = changes, suffixes

    def forget(self, number: int) -> None:
        """Remove the record of an image."""
        self._suffixes[number] = _NOTHING

    def as_then(self, files: PartFiles, workers: Workers) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
        """Yield numbers of images, and for each whether its outputs exist and its files match the log line.

        Args:
            files: output files of the predictions.
            workers: processes that check the files.
        """
        numbers, noted = itertools.tee(self._noted_together())
        found = workers.mapped(files_now, (self._then(some, kind, files) for some, kind in noted))
        for (some, _), (then, (have_states, are_there)) in zip(numbers, found, strict=True):
            again = ~have_states | self._inputs.are_several_files(some)
            for place in np.flatnonzero(again & are_there).tolist():
                state = [[int(then.sizes[place]), int(then.changes[place])]]
                have_states[place] = self._inputs.has_state(int(some[place]), state)
            yield some, have_states & are_there

    def _noted_together(self) -> Iterator[tuple[NDArray[np.intp], int]]:
        """Yield the numbers of up to 8192 images whose masks have the same suffix, with the index of the suffix."""
        for start in range(self._first, self._end, _TOGETHER):
            among = self._suffixes[start : min(start + _TOGETHER, self._end)]
            for kind in np.unique(among[among != _NOTHING]).tolist():
                yield start + np.flatnonzero(among == kind), kind

    def _then(self, some: NDArray[np.intp], kind: int, files: PartFiles) -> FilesThen:
        folders, stems = self._inputs.by_folder(some), self._inputs.stems_of(some)
        return FilesThen(files, folders, self._sizes[some], self._changes[some], stems, SUFFIXES[kind])
