"""Masks of single objects, cropped to the object to save memory: an image may have thousands of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from promise_seg.arrays import BoolArray
from promise_seg.images.geometry import Box


@dataclass(frozen=True, eq=False)
class CutMask:
    """A mask (H, W), stored as the smallest box around its foreground.

    Args:
        box: smallest box around the foreground, in the image frame; empty if there is no foreground.
        part: the mask within the box, (h, w).
        height, width: size of the image, in pixels.
    """

    box: Box
    part: BoolArray
    height: int
    width: int

    @classmethod
    def of(cls, mask: BoolArray) -> Self:
        """Crop a mask (H, W) to its foreground."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = Box(0, 0, 0, 0)
        if len(rows):
            box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        return cls(box, mask[box.slices].copy(), *mask.shape)

    @cached_property
    def area(self) -> int:
        """The number of foreground pixels."""
        return int(np.count_nonzero(self.part))

    def whole(self) -> BoolArray:
        """Return the full mask (H, W)."""
        mask = np.zeros((self.height, self.width), bool)
        mask[self.box.slices] = self.part
        return mask

    def shared_pixels(self, other: "CutMask") -> int:
        """Return the number of foreground pixels shared with another mask of the same image."""
        one, two = self.box, other.box
        both = Box(
            max(one.left, two.left), max(one.top, two.top), min(one.right, two.right), min(one.bottom, two.bottom)
        )
        if both.left >= both.right or both.top >= both.bottom:
            return 0
        return int(np.count_nonzero(self._within(both) & other._within(both)))

    def _within(self, box: Box) -> BoolArray:
        left, top = self.box.left, self.box.top
        return self.part[box.top - top : box.bottom - top, box.left - left : box.right - left]
