"""S-measure, E-measure and weighted F, as reported for polyp segmentation, computed by ``pysodmetrics``.

The raw probabilities are used. Some codes of the field stretch each map to [0, 1] first; the maps of a confident model
reach both ends anyway, and here an empty map is not made to look full.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from py_sod_metrics import Emeasure, Smeasure, WeightedFmeasure

from promise_seg.arrays import BoolArray, Float32Array


@dataclass(frozen=True)
class StructureScores:
    """The structure scores, in [0, 1], better when higher.

    ``e_max`` and ``e_mean`` are over 256 thresholds; the maximum is taken per image. Rules where they are not
    defined: see :func:`score_structure`.
    """

    s_measure: float
    e_max: float
    e_mean: float
    e_adaptive: float
    weighted_f: float


class _Smeasure(Smeasure):
    """The S-measure without the empty part beyond an object's centre in the last row or column, whose weight is 0."""

    def ssim(self, pred: npt.NDArray[np.float64], gt: BoolArray) -> float:
        return float(super().ssim(pred, gt)) if pred.size else 0.0


def score_structure(mask_probs: Float32Array, truth: BoolArray, predicted: BoolArray | None = None) -> StructureScores:
    """Score probabilities against the ground truth.

    All scores use the probabilities, as published, whatever threshold and post-processing the mask was made with:
    E-measures have their own thresholds, and S-measure and weighted F also depend on confidence. So models with and
    without post-processing are compared by the same measure. The mask only decides whether anything is ``predicted``;
    by default it is the pixels above 0.5.

    Rules where the measures are not defined: with an empty ground truth, E-measures and weighted F are 1 if nothing is
    predicted and 0 otherwise; weighted F is 0 if an object is missed entirely. An image of a single row or column has
    no structure: all scores are then 1 minus the mean absolute error.

    Shape: all (H, W), in the image frame.
    Raises: ValueError if the shapes differ.
    Source: Fan et al. 2017 (S-measure) and 2018 (E-measure), Margolin et al. 2014 (weighted F).
    """
    predicted = mask_probs > 0.5 if predicted is None else predicted
    if not mask_probs.shape == truth.shape == predicted.shape:
        raise ValueError(f"prediction is {mask_probs.shape}, its mask {predicted.shape}, truth is {truth.shape}")
    probs, is_silent = np.asarray(mask_probs, np.float64), not predicted.any()
    if not truth.any():
        return StructureScores(1 - float(np.mean(probs)), *[float(is_silent)] * 4)
    if min(truth.shape) < 2:
        alike = 1 - float(np.abs(probs - truth).mean())
        return StructureScores(alike, alike, alike, alike, weighted_f=0.0 if is_silent else alike)
    s_measure = _Smeasure()
    s_measure.step(probs, truth, normalize=False)
    e_measure, weighted = Emeasure(), WeightedFmeasure()
    e_measure.step(probs, truth, normalize=False)
    weighted.step(probs, truth, normalize=False)
    found = e_measure.get_results()["em"]
    curve = np.minimum(np.asarray(found["curve"], np.float64), 1)  # divided by one pixel less than there are
    return StructureScores(
        s_measure=float(s_measure.get_results()["sm"]),
        e_max=float(curve.max()),
        e_mean=float(curve.mean()),
        e_adaptive=min(1.0, float(found["adp"])),
        weighted_f=0.0 if is_silent else float(weighted.get_results()["wfm"]),
    )
