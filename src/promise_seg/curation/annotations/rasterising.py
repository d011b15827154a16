"""Rasterise outlines with ``pycocotools``.

Pixel boundaries are at integer coordinates and pixel centres at halves: an outline from 0 to 10 covers pixels 0 to 9. A
pixel is inside if its centre is, to within a fifth of a pixel, the grid of ``pycocotools``. Masks of polygons are
therefore identical to those of COCO's own tools.
"""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as run_lengths

from promise_seg.arrays import BoolArray
from promise_seg.curation.annotations.shapes import Bitmap, BrokenShapeError, Outline, Ring
from promise_seg.images.formats.limits import max_values

_FARTHEST = 10
_GRID = 5
_BESIDE = 1.0


@dataclass(frozen=True)
class Patch:
    """A mask (h, w) whose upper left pixel is at row ``top`` and column ``left`` of the image.

    ``is_clipped`` is whether the shape extends beyond the image: an outline by more than a pixel, a bitmap by any.
    """

    inside: BoolArray
    top: int
    left: int
    is_clipped: bool = False

    @property
    def place(self) -> tuple[slice, slice]:
        """The rows and columns of the image that the patch covers."""
        height, width = self.inside.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def rasterise(area: Outline | Bitmap, size: tuple[int, int]) -> Patch:
    """Return the pixels that an area covers in an image.

    Args:
        area: the area, with coordinates in pixels of the image or relative to its size.
        size: width and height of the image.

    Raises:
        BrokenShapeError: if the area is outside the image, has no area or too long an outline, or reaches so far beyond
            the image that it must belong to another one.
    """
    if isinstance(area, Bitmap):
        return _clipped(area.inside, area.top, area.left, size)
    scale = np.array(size if area.is_relative else (1, 1), np.float64)
    parts = [[ring * scale for ring in part] for part in area.parts]
    together = np.concatenate([ring for part in parts for ring in part])
    low, high = together.min(0), together.max(0)
    most = np.array(size, np.float64)
    if (low < -_FARTHEST * most).any() or (high > (1 + _FARTHEST) * most).any():
        raise BrokenShapeError(
            f"reaches from ({low[0]:.6g}, {low[1]:.6g}) to ({high[0]:.6g}, {high[1]:.6g}), far outside the image of "
            f"{size[0]} x {size[1]} pixels"
        )
    start = np.floor(np.clip(low, 0, most)).astype(int)
    end = np.ceil(np.clip(high, 0, most)).astype(int)
    if (end <= start).any():
        raise BrokenShapeError(f"lies outside the image of {size[0]} x {size[1]} pixels, or has no area")
    width, height = end - start
    inside = np.zeros((height, width), np.bool_)
    for part in parts:
        own = np.zeros_like(inside)
        for ring in part:
            own ^= _filled(ring - start, height, width)
        inside |= own
    is_clipped = bool((low < -_BESIDE).any() or (high > most + _BESIDE).any())
    return Patch(inside, int(start[1]), int(start[0]), is_clipped)


def _filled(ring: Ring, height: int, width: int) -> BoolArray:
    length = float(np.abs(ring - np.roll(ring, 1, 0)).max(1).sum())
    if length * _GRID > max_values():  # pycocotools keeps every point of an outline
        raise BrokenShapeError(f"has an outline of {length:,.0f} pixels, which is too long")
    runs = run_lengths.frPyObjects([ring.ravel().tolist()], int(height), int(width))
    return np.asarray(run_lengths.decode(runs)[..., 0], np.bool_)


def _clipped(inside: BoolArray, top: int, left: int, size: tuple[int, int]) -> Patch:
    first_row, first_column = max(0, -top), max(0, -left)
    kept = inside[first_row : max(0, size[1] - top), first_column : max(0, size[0] - left)]
    if not kept.size:
        raise BrokenShapeError(f"lies outside the image of {size[0]} x {size[1]} pixels")
    is_clipped = int(np.count_nonzero(kept)) < int(np.count_nonzero(inside))
    return Patch(kept, max(0, top), max(0, left), is_clipped)
