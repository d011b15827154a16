"""The overlap of two masks."""

import numpy as np

from promise_seg.annotator.bits import MaskBits


def dice_of(one: MaskBits, other: MaskBits, height: int, width: int) -> float:
    """Return the Dice of two masks of an image (height, width), 0 to 1; 0 if either mask is empty."""
    if one.is_empty or other.is_empty or not _boxes_meet(one, other):
        return 0.0
    first, second = one.mask(height, width), other.mask(height, width)
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2 * int(np.count_nonzero(first & second)) / total if total else 0.0


def _boxes_meet(one: MaskBits, other: MaskBits) -> bool:
    left, top, width, height = one.box
    from_left, from_top, across, down = other.box
    return left < from_left + across and from_left < left + width and top < from_top + down and from_top < top + height
