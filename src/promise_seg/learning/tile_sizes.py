"""Choose the size of tiles by the size of the objects in the train rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from promise_seg.dataset.checks import CheckedRow
from promise_seg.images.tiles import LEAST_SIDE, Tiling
from promise_seg.learning import object_sizes
from promise_seg.vocabulary import MaskKind

_SMALL, _LONG = 0.25, 0.95
_LENGTHS = 3  # how many times as long as a long object a tile is at least
_STEP = 32


class ObjectLengths(NamedTuple):
    """How large objects are, in pixels of the image.

    Args:
        small: a quarter of the objects is no larger: the square root of their area.
        usual: half of them is no longer: the longer side of their box.
        long: one in twenty is longer.
    """

    small: float
    usual: float
    long: float


def object_lengths(rows: Sequence[CheckedRow]) -> ObjectLengths | None:
    """Measure the objects of at most 100 rows, spread over all; ``None`` if there are none.

    Objects are those of instance maps, and what hangs together in other masks; each image counts the same.
    """
    found = []
    for row in object_sizes.spread(rows, object_sizes.MOST_ROWS):
        parts = _parts(row)
        windows = [window for window in ndimage.find_objects(parts) if window is not None]
        if windows:
            lengths = [max(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in windows]
            areas = np.bincount(parts.ravel())[1:]
            small = np.quantile(np.sqrt(areas[areas > 0]), _SMALL)
            found.append((small, np.quantile(lengths, 0.5), np.quantile(lengths, _LONG)))
    if not found:
        return None
    small, usual, long = np.median(np.array(found), 0).tolist()
    return ObjectLengths(small, usual, long)


def _parts(row: CheckedRow) -> npt.NDArray[np.int64]:
    if row.reading.masks == MaskKind.INSTANCES:
        return row.labels().astype(np.int64)
    parts, _ = ndimage.label(row.mask(), np.ones((3, 3)))
    return parts.astype(np.int64)


def fitting_tiling(lengths: ObjectLengths, input_side: int, overlap: int | None = None) -> Tiling:
    """Return tiles in which small objects are large enough in the input, and long ones fit.

    Args:
        lengths: of the objects.
        input_side: side of the model frame, in pixels.
        overlap: of the tiles; by default as long as a long object, within an eighth and half of a tile.
    """
    least = max(object_sizes.LEAST_SIZE, 1.0)
    largest = int(lengths.small * input_side / least) // _STEP * _STEP
    fitting = int(np.ceil(max(_LENGTHS * lengths.long, LEAST_SIDE, 2 * (overlap or 0)) / _STEP)) * _STEP
    side = max(largest, fitting)
    if overlap is None:
        overlap = int(min(max(np.ceil(lengths.long), side // 8), side // 2))
    return Tiling(side=side, overlap=overlap)
