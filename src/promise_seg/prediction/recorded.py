"""The states of files of millions of images, as the lines of logs say, until all files are looked at together."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from promise_seg.images.exports.input_list import InputList
from promise_seg.prediction.line_outlines import SUFFIXES
from promise_seg.prediction.part_files import FilesThen, PartFiles, files_now
from promise_seg.workers import Workers

_TOGETHER = 8192
_NOTHING = 255
_NO_SIZE = -1


class Recorded:
    """The last lines that were read on images of a list, in about twenty bytes an image.

    Looking at the files later, in the order of the list, meets all files of a folder one after the other, in whatever
    order the logs have them.

    Args:
        inputs: the images.
    """

    def __init__(self, inputs: InputList) -> None:
        self._inputs, count = inputs, len(inputs)
        self._sizes, self._changes = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._suffixes = np.full(count, _NOTHING, np.uint8)
        self._first, self._end = count, 0  # of the numbers that were noted

    def note(
        self,
        numbers: NDArray[np.int64],
        sizes: NDArray[np.int64],
        changes: NDArray[np.int64],
        suffixes: NDArray[np.uint8],
        have_keys: NDArray[np.bool_],
    ) -> None:
        """Take outlines (N) in the place of what was noted of images (N); of several on an image, the last.

        Args:
            numbers: of the images.
            sizes, changes, suffixes: as of :class:`~promise_seg.prediction.line_outlines.Outline`.
            have_keys: whether the images have the keys that their outlines say.
        """
        if len(numbers):
            self._first = min(self._first, int(numbers.min()))
            self._end = max(self._end, int(numbers.max()) + 1)
        self._sizes[numbers] = np.where(have_keys, sizes, _NO_SIZE)
        self._changes[numbers], self._suffixes[numbers] = changes, suffixes

    def forget(self, number: int) -> None:
        """Forget what was noted of an image."""
        self._suffixes[number] = _NOTHING

    def as_then(self, files: PartFiles, workers: Workers) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
        """Yield numbers of images, and of each whether its files are there, and the image is as the line says.

        Args:
            files: of the predictions.
            workers: that look at the files.
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
        """Yield the numbers of a few thousand images at a time whose masks have one suffix, and which."""
        for start in range(self._first, self._end, _TOGETHER):
            among = self._suffixes[start : min(start + _TOGETHER, self._end)]
            for kind in np.unique(among[among != _NOTHING]).tolist():
                yield start + np.flatnonzero(among == kind), kind

    def _then(self, some: NDArray[np.intp], kind: int, files: PartFiles) -> FilesThen:
        folders, stems = self._inputs.by_folder(some), self._inputs.stems_of(some)
        return FilesThen(files, folders, self._sizes[some], self._changes[some], stems, SUFFIXES[kind])
