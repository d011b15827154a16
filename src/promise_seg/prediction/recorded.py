"""The states of files of millions of images, as the lines of logs say, until all files are looked at together."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promise_seg.images.exports.input_list import InputList
from promise_seg.prediction.line_outlines import Outline
from promise_seg.prediction.part_files import PartFiles

_TOGETHER = 8192
_NOTHING = 0
_NO_SIZE = -1


def quick_view(values: NDArray[Any]) -> Any:
    """Return an array as a view of its memory, of which single values are read and written more quickly."""
    return values.data


class Recorded:
    """The last lines that were read on images of a list, in about twenty bytes an image.

    Looking at the files later, in the order of the list, meets all files of a folder one after the other, in whatever
    order the logs have them.

    Args:
        inputs: the images.
    """

    def __init__(self, inputs: InputList) -> None:
        self._inputs, count = inputs, len(inputs)
        self._sizes, self._changes = quick_view(np.zeros(count, np.int64)), quick_view(np.zeros(count, np.int64))
        self._kinds = quick_view(np.zeros(count, np.uint8))
        self._suffixes: dict[str, int] = {}  # of masks, with their kinds
        self._first, self._end = count, 0  # of the numbers that were noted

    def note(self, number: int, line: Outline) -> None:
        """Take a line in the place of what was noted of an image."""
        if number < self._first:
            self._first = number
        if number >= self._end:
            self._end = number + 1
        self._kinds[number] = self._suffixes.setdefault(line.suffix, len(self._suffixes) + 1)
        self._sizes[number] = line.size if line.key == self._inputs.key(number) else _NO_SIZE
        self._changes[number] = line.changed

    def forget(self, number: int) -> None:
        """Forget what was noted of an image."""
        self._kinds[number] = _NOTHING

    def as_then(self, files: PartFiles) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
        """Yield numbers of images, and of each whether its files are there, and the image is as the line says."""
        sizes, changes, kinds = map(np.asarray, (self._sizes, self._changes, self._kinds))
        for start in range(self._first, self._end, _TOGETHER):
            among = kinds[start : min(start + _TOGETHER, self._end)]
            for suffix, kind in self._suffixes.items():
                some = start + np.flatnonzero(among == kind)
                have_states = self._inputs.have_states(some, sizes[some], changes[some])
                stems = map(self._inputs.stem, some.tolist())
                yield some, have_states & np.fromiter(files.are_there(stems, suffix), bool, len(some))
