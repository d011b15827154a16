"""Oracle prompts: sampled from the ground truth, a simulated user and an upper bound.

Results with them must never be mixed with automatic ones.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from promise_seg.arrays import BoolArray, Float32Array, IntArray


def oracle_points(
    mask: BoolArray, count: int, rng: np.random.Generator, num_foreground: int | None = None
) -> tuple[Float32Array, IntArray]:
    """Draw points uniformly, with replacement, from the foreground and from the background of a mask.

    Args:
        mask: (H, W) bool.
        count: the number of points; a single one is a foreground point.
        rng: the source of randomness.
        num_foreground: the number of foreground points; half, rounded up, if ``None``.

    Returns:
        (count, 2) float32 (x, y) pixel indices in the frame of the mask (whole numbers are pixel centres), and
        (count,) labels, foreground (1) first.
        If the mask is empty or full, all points have the same label.

    Source: ProMISe reference: 8 foreground and 8 background pixels.
    """
    wanted = -(-count // 2) if num_foreground is None else num_foreground
    inside, outside = np.flatnonzero(mask), np.flatnonzero(~mask)
    if len(inside) == 0:
        wanted = 0
    elif len(outside) == 0:
        wanted = count
    picks = [rng.choice(inside, wanted)] if wanted else []
    if count > wanted:
        picks.append(rng.choice(outside, count - wanted))
    index = np.concatenate(picks)
    width = mask.shape[1]
    points = np.stack([index % width, index // width], 1).astype(np.float32)
    labels = (np.arange(count) < wanted).astype(np.int64)
    return points, labels


def centre_of(mask: BoolArray) -> Float32Array:
    """Return the mean position of the foreground of a non-empty mask (H, W): (2,) float32 (x, y) pixel indices."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()], np.float32)


def oracle_box(mask: BoolArray) -> Float32Array:
    """Return the smallest box around the foreground: (4,) float32 (x0, y0, x1, y1), indices of first and last pixels.

    An empty mask gives an empty box at the origin.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return np.zeros(4, np.float32)
    return np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float32)


def points_in_masks(
    masks: Iterable[BoolArray], count: int, rngs: Sequence[np.random.Generator]
) -> tuple[Tensor, Tensor]:
    """Draw :func:`oracle_points` in each of n masks: (n, count, 2) and labels (n, count).

    Args:
        masks: each (H, W) bool.
        count: the number of points in each.
        rngs: the source of randomness for each.
    """
    drawn = [oracle_points(mask, count, rng) for mask, rng in zip(masks, rngs, strict=True)]
    points, labels = zip(*drawn, strict=True)
    return torch.from_numpy(np.stack(points)), torch.from_numpy(np.stack(labels))


def boxes_around(masks: Iterable[BoolArray]) -> Tensor:
    """Return the :func:`oracle_box` of each of n masks: (n, 4)."""
    return torch.from_numpy(np.stack([oracle_box(mask) for mask in masks]))
