"""Distances between the outlines of two masks, in pixels or millimetres, computed by ``monai``."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from monai.metrics.utils import get_mask_edges, get_surface_distance

from promise_seg.arrays import BoolArray, Float32Array, Float64Array


class Surfaces:
    """The distances between the outlines of two non-empty masks, (H, W) or (D, H, W).

    An outline consists of the pixels or voxels of a mask that touch its outside. The distances are computed once for
    all measures. The rule for empty masks is in the table of measures.

    Args:
        predicted, truth: the masks, in the image frame.
        tolerance: the tolerance of the surface Dice, in the unit of ``spacing``.
        spacing: the distances between slices (for volumes), rows and columns, in this order; by default 1 for each
            axis.

    Raises:
        ValueError: if the shapes differ or a mask is empty.
    """

    def __init__(
        self,
        predicted: BoolArray,
        truth: BoolArray,
        *,
        tolerance: float = 2.0,
        spacing: Sequence[float] | None = None,
    ) -> None:
        if predicted.shape != truth.shape:
            raise ValueError(f"prediction is {predicted.shape}, truth is {truth.shape}")
        if not predicted.any() or not truth.any():
            raise ValueError("an empty mask has no outline: the rule for empty masks defines distances to it")
        self._masks, self._tolerance = (predicted, truth), tolerance
        self._spacing = (1.0,) * predicted.ndim if spacing is None else tuple(spacing)

    @cached_property
    def distances(self) -> tuple[Float32Array, Float32Array]:
        """The distances from each pixel of the predicted outline to the true outline, and the other way round."""
        part = _around(self._masks[0] | self._masks[1])
        predicted, truth = get_mask_edges(*(mask[part] for mask in self._masks))
        return (
            get_surface_distance(predicted, truth, spacing=self._spacing),
            get_surface_distance(truth, predicted, spacing=self._spacing),
        )

    @property
    def hd95(self) -> float:
        """The 95th percentile of the distances between the outlines, the larger of both directions."""
        return max(_percentile_95(found) for found in self.distances)

    @property
    def average_distance(self) -> float:
        """The mean distance from the pixels of each outline to the other outline, over all pixels of both.

        Source: Heimann et al. 2009 (average symmetric surface distance).
        """
        return float(np.concatenate(self.distances).mean(dtype=np.float64))

    @property
    def surface_dice(self) -> float:
        """The share of both outlines within the tolerance of the other outline (normalised surface distance)."""
        within = sum(int(np.count_nonzero(found <= self._tolerance)) for found in self.distances)
        return float(np.float32(within) / np.float32(sum(map(len, self.distances))))

    @property
    def centre_distance(self) -> float:
        """The distance between the centres of mass."""
        predicted, truth = map(_centre, self._masks)
        return float(np.linalg.norm((predicted - truth) * np.array(self._spacing)))


_MOST_FOR_TORCH = 2**24


def _percentile_95(found: Float32Array) -> float:
    """Return the 95th percentile, computed by torch as in ``monai``, or by numpy if there are too many values."""
    if len(found) > _MOST_FOR_TORCH:
        return float(np.quantile(found, 0.95))
    return float(torch.quantile(torch.from_numpy(found), 0.95))


def _around(mask: BoolArray) -> tuple[slice, ...]:
    """Return the bounding box of a mask with a margin of one pixel; distances do not depend on the rest."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        there = np.flatnonzero(mask.any(others))
        box.append(slice(max(0, int(there[0]) - 1), int(there[-1]) + 2))
    return tuple(box)


def _centre(mask: BoolArray) -> Float64Array:
    return np.array([axis.mean() for axis in np.nonzero(mask)])
