"""Choose the input size of SAM and of an auto-prompter by the size of the objects in the train rows."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from promise_seg.arrays import IntArray
from promise_seg.dataset.checks import CheckedRow
from promise_seg.vocabulary import Fit, MaskKind

LEAST_SIZE = 12.0
"""The size in pixels of the input that half of the objects should reach: the square root of their area."""
LARGEST_SIDE = 1024
MOST_ROWS = 100
"""The maximum number of rows that are measured."""
_FACTORS = (1, 2, 3, 4)


def spread(rows: Sequence[CheckedRow], most: int) -> Sequence[CheckedRow]:
    """Return at most ``most`` of many rows, at equal distances in their order."""
    return rows[:: max(1, -(-len(rows) // most))]


def numbered_objects(row: CheckedRow) -> IntArray:
    """Return the objects of a row (H, W), numbered from 1, with 0 for background; numbers may have gaps.

    Objects are those of an instance map, and the connected components of any other mask.
    """
    if row.reading.masks == MaskKind.INSTANCES:
        return row.labels().astype(np.int64)
    parts, _ = ndimage.label(row.mask(), np.ones((3, 3)))
    return parts.astype(np.int64)


def usual_object_size(rows: Sequence[CheckedRow], fit: Fit = Fit.STRETCH) -> float | None:
    """Return the usual size of an object, as a share of the side of the model frame; ``None`` if there are no objects.

    The size of an object is the square root of its area; see :func:`numbered_objects`. The result is the median over
    images of the median of each image, over at most 100 images spread over all.

    Args:
        rows: the rows with the objects.
        fit: how the images become squares: stretched, or with the longer side as long as the frame and padding.
    """
    found = []
    for row in spread(rows, MOST_ROWS):
        objects = numbered_objects(row)
        areas = np.bincount(objects.ravel())[1:]
        if areas.any():
            found.append(float(np.median(np.sqrt(areas[areas > 0] / _frame_area(row, objects, fit)))))
    return float(np.median(found)) if found else None


def _frame_area(row: CheckedRow, objects: IntArray, fit: Fit) -> int:
    """Return the area of the whole model frame, in pixels of the image."""
    if fit == Fit.STRETCH:
        return objects.size
    kept = row.kept
    return max(kept.right - kept.left, kept.bottom - kept.top) ** 2


def fitting_side(size: float, usual: int) -> int:
    """Return the smallest multiple of the usual side at which an object of this size is large enough.

    It is at most four times the usual side, and at most :data:`LARGEST_SIDE` unless the usual side is larger.

    Args:
        size: the size of an object, as a share of the side of the model frame.
        usual: the side for objects that are large enough, in pixels.
    """
    possible = [usual * factor for factor in _FACTORS if factor == 1 or usual * factor <= LARGEST_SIDE]
    return next((side for side in possible if size * side >= LEAST_SIZE), possible[-1])
