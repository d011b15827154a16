"""Tiles of an image that is too large for the model frame: their positions, and how they are blended."""

import math
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from promise_seg.arrays import Float32Array
from promise_seg.errors import SettingsError
from promise_seg.images.geometry import Box

LEAST_SIDE = 16
AUTO_TILE, NO_TILE = "auto", "none"
_USUAL_SHARE = 4  # the default overlap is the side of a tile divided by this number


class Tiling(BaseModel):
    """The division of large images into tiles, each of which the model processes as a separate image.

    Args:
        side: side of a tile, in pixels of the image; images that are no larger are not divided.
        overlap: least number of pixels that neighbouring tiles share.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: int = Field(ge=LEAST_SIDE)
    overlap: int = Field(ge=0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if 2 * self.overlap > self.side:
            raise ValueError(f"an overlap of {self.overlap} px is more than half of a tile of {self.side} px")
        return self

    @property
    def arguments(self) -> list[str]:
        """The command-line options that give this tiling."""
        return ["--tile", str(self.side), "--overlap", str(self.overlap)]

    def divides(self, kept: Box) -> bool:
        """Whether a part of an image is larger than a tile."""
        return max(kept.right - kept.left, kept.bottom - kept.top) > self.side

    def grid(self, kept: Box) -> list[list[Box]]:
        """Return the tiles of a part of an image, row by row: evenly spaced, and all of the same size."""
        columns = [(kept.left + at, kept.left + at + size) for at, size in self._spread(kept.right - kept.left)]
        rows = [(kept.top + at, kept.top + at + size) for at, size in self._spread(kept.bottom - kept.top)]
        return [[Box(left, top, right, bottom) for left, right in columns] for top, bottom in rows]

    def _spread(self, length: int) -> list[tuple[int, int]]:
        """Return the first pixel and the size of each tile along one axis."""
        if length <= self.side:
            return [(0, length)]
        count = math.ceil((length - self.overlap) / (self.side - self.overlap))
        return [(round(n * (length - self.side) / (count - 1)), self.side) for n in range(count)]


def make_tiling(side: int, overlap: int | None) -> Tiling:
    """Return the tiling for a user's options; the default overlap is a quarter of a tile.

    Raises:
        SettingsError: if the side or the overlap is out of range.
    """
    if side < LEAST_SIDE:
        raise SettingsError(
            f"--tile {side}: expected {AUTO_TILE}, {NO_TILE} or the side of a tile in pixels, from {LEAST_SIDE}"
        )
    overlap = side // _USUAL_SHARE if overlap is None else overlap
    if not 0 <= 2 * overlap <= side:
        raise SettingsError(
            f"--overlap {overlap}: expected 0 to {side // 2} pixels, half of a tile of {side} px, as neighbouring "
            "tiles would otherwise show the same. Give a smaller --overlap or a larger --tile"
        )
    return Tiling(side=side, overlap=overlap)


def ramp(length: int, overlap: int, *, rises: bool, falls: bool) -> Float32Array:
    """Return the weights (length,) of the pixels of a tile along one axis.

    They rise and fall as the square of a sine where a neighbour overlaps, and are never 0.
    """
    weights = np.ones(length, np.float32)
    wide = min(overlap, length)
    if wide:
        slope = np.sin((np.arange(wide, dtype=np.float32) + 0.5) / wide * (np.pi / 2)) ** 2
        if rises:
            weights[:wide] = slope
        if falls:
            weights[length - wide :] *= slope[::-1]
    return weights


def blended(
    grid: list[list[Box]], overlap: int, probs_of: Callable[[Box], Float32Array]
) -> Iterator[tuple[Box, Float32Array]]:
    """Yield strips of the probabilities of an image from top to bottom, each as soon as all of its tiles are done.

    The buffer is as wide as the image and as high as a tile. Tiles are blended where they overlap.

    Args:
        grid: rows of tiles, see :meth:`Tiling.grid`.
        overlap: overlap of the tiles, in pixels.
        probs_of: returns the probabilities of a tile: (C, h, w).

    Yields:
        The place of a strip, and its probabilities (C, rows, columns).
    """
    left, right = grid[0][0].left, grid[0][-1].right
    top = grid[0][0].top
    total, weight = np.zeros((0, 0, 0), np.float32), np.zeros((0, right - left), np.float32)
    for number, row in enumerate(grid):
        done = row[0].top - top
        if done > 0:
            yield Box(left, top, right, row[0].top), total[:, :done] / weight[:done]
            total, weight, top = total[:, done:], weight[done:], row[0].top
        lacking = row[0].bottom - top - len(weight)
        weight = np.pad(weight, ((0, lacking), (0, 0)))
        down = ramp(row[0].bottom - row[0].top, overlap, rises=number > 0, falls=number < len(grid) - 1)
        for at, box in enumerate(row):
            probs = probs_of(box)
            if total.shape[1:] != weight.shape:
                total = np.pad(
                    total, ((0, len(probs) - len(total)), (0, lacking), (0, weight.shape[1] - total.shape[2]))
                )
            across = ramp(box.right - box.left, overlap, rises=at > 0, falls=at < len(row) - 1)
            share = down[:, None] * across[None]
            place = slice(box.top - top, box.bottom - top), slice(box.left - left, box.right - left)
            weight[place] += share
            total[(slice(None), *place)] += share * probs
    yield Box(left, top, right, grid[-1][0].bottom), total / weight
