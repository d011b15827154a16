"""Choose the size of tiles by the size of the objects in the train rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from promise_seg.dataset.checks import CheckedRow
from promise_seg.images.tiles import LEAST_SIDE, Tiling
from promise_seg.learning import object_sizes

_SMALL, _LONG = 0.25, 0.95
_LENGTHS = 3  # the minimum side of a tile, in lengths of a long object
_STEP = 32


class ObjectLengths(NamedTuple):
    """The sizes of objects, in pixels of the image.

    Args:
        small: first quartile of the square root of an object's area.
        usual: median of the longer side of an object's box.
        long: 95th percentile of the longer side of an object's box.
    """

    small: float
    usual: float
    long: float


def object_lengths(rows: Sequence[CheckedRow]) -> ObjectLengths | None:
    """Measure the objects of at most 100 rows, spread over all; ``None`` if there are none.

    See :func:`~promise_seg.learning.object_sizes.numbered_objects`. Each image has the same weight.
    """
    found = []
    for row in object_sizes.spread(rows, object_sizes.MOST_ROWS):
        objects = object_sizes.numbered_objects(row)
        windows = [window for window in ndimage.find_objects(objects) if window is not None]
        if windows:
            lengths = [max(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in windows]
            areas = np.bincount(objects.ravel())[1:]
            small = np.quantile(np.sqrt(areas[areas > 0]), _SMALL)
            found.append((small, np.quantile(lengths, 0.5), np.quantile(lengths, _LONG)))
    if not found:
        return None
    small, usual, long = np.median(np.array(found), 0).tolist()
    return ObjectLengths(small, usual, long)


def fitting_tiling(lengths: ObjectLengths, input_side: int, overlap: int | None = None) -> Tiling:
    """Return tiles in which small objects are large enough in the input, and long ones fit.

    Args:
        lengths: the sizes of the objects.
        input_side: side of the model frame, in pixels.
        overlap: overlap of the tiles, in pixels; by default the length of a long object, between an eighth and half of
            a tile.
    """
    least = max(object_sizes.LEAST_SIZE, 1.0)
    largest = int(lengths.small * input_side / least) // _STEP * _STEP
    fitting = int(np.ceil(max(_LENGTHS * lengths.long, LEAST_SIDE, 2 * (overlap or 0)) / _STEP)) * _STEP
    side = max(largest, fitting)
    if overlap is None:
        overlap = int(min(max(np.ceil(lengths.long), side // 8), side // 2))
    return Tiling(side=side, overlap=overlap)
