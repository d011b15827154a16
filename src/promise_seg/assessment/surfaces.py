"""How far apart the outlines of two masks are, in pixels or millimetres. Distances are computed by ``monai``."""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from promise_seg.arrays import BoolArray


@dataclass(frozen=True)
class SurfaceScores:
    """``hd95``: the 95th percentile of distances between outlines, in both directions, the larger of the two;
    ``surface_dice``: the share of both outlines that lies within the tolerance of the other (normalised surface
    distance); ``centre_distance``: between the centres of mass.

    Rules where there is nothing: with both masks empty the distances are 0 and the share is 1; with one of them empty
    the distances are the image's diagonal and the share is 0.
    """

    hd95: float
    surface_dice: float
    centre_distance: float


def score_surfaces(
    predicted: BoolArray, truth: BoolArray, *, tolerance: float = 2.0, spacing: tuple[float, float] = (1.0, 1.0)
) -> SurfaceScores:
    """Score a mask (H, W) against the truth (H, W), in the image frame.

    Args:
        predicted, truth: the masks.
        tolerance: of the surface Dice, in the unit of ``spacing``.
        spacing: between rows and between columns; of 1, for pixels.

    Raises:
        ValueError: if the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"prediction is {predicted.shape}, truth is {truth.shape}")
    if not predicted.any() or not truth.any():
        diagonal = float(np.hypot(truth.shape[0] * spacing[0], truth.shape[1] * spacing[1]))
        same = predicted.any() == truth.any()
        return SurfaceScores(*((0.0, 1.0, 0.0) if same else (diagonal, 0.0, diagonal)))
    part = _around(predicted | truth)
    one, other = (torch.from_numpy(np.ascontiguousarray(mask[part]))[None, None] for mask in (predicted, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # monai warns of what it itself will change
        hd95 = compute_hausdorff_distance(one, other, include_background=True, percentile=95, spacing=list(spacing))
        share = compute_surface_dice(one, other, [tolerance], include_background=True, spacing=list(spacing))
    apart = (_centre(predicted) - _centre(truth)) * np.array(spacing)
    return SurfaceScores(float(hd95[0, 0]), float(share[0, 0]), float(np.hypot(*apart)))


def _around(mask: BoolArray) -> tuple[slice, slice]:
    """What holds the mask and a pixel around it: distances do not depend on the rest."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2),
    )


def _centre(mask: BoolArray) -> npt.NDArray[np.float64]:
    return np.array([axis.mean() for axis in np.nonzero(mask)])
