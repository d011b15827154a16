"""Choose the input size of SAM and of an auto-prompter by the size of the objects in the train rows."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from promise_seg.dataset.checks import CheckedRow

LEAST_SIZE = 12.0
"""Half of the objects should be as large in the input, in pixels: the square root of their area."""
LARGEST_SIDE = 1024
MOST_ROWS = 100
"""How many rows are looked at, at most."""
_FACTORS = (1, 2, 3, 4)


def spread(rows: Sequence[CheckedRow], most: int) -> Sequence[CheckedRow]:
    """Return some of many rows, at most so many, at equal distances in their order."""
    return rows[:: max(1, -(-len(rows) // most))]


def usual_object_size(rows: Sequence[CheckedRow]) -> float | None:
    """Return the usual size of an object, as a share of the side of its image; ``None`` if there are no objects.

    The size of an object is the square root of its area. Objects are what hangs together in a mask; the median over
    the images of the median of each is taken, over at most 100 images, spread over all.
    """
    found = []
    for row in spread(rows, MOST_ROWS):
        mask = row.mask()
        parts, count = ndimage.label(mask, np.ones((3, 3)))
        if count:
            areas = np.bincount(parts.ravel())[1:]
            found.append(float(np.median(np.sqrt(areas / mask.size))))
    return float(np.median(found)) if found else None


def fitting_side(size: float, usual: int) -> int:
    """Return the least multiple of a usual side at which an object of this size is large enough.

    Never above four times the usual side, nor above :data:`LARGEST_SIDE`, unless the usual side is.

    Args:
        size: of an object, as a share of the side of its image.
        usual: the side that is taken where objects are large enough, in pixels.
    """
    possible = [usual * factor for factor in _FACTORS if factor == 1 or usual * factor <= LARGEST_SIDE]
    return next((side for side in possible if size * side >= LEAST_SIZE), possible[-1])
