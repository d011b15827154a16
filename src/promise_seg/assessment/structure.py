"""Measures of how alike two pictures of an object are, as the polyp field reports them. Computed by ``pysodmetrics``.

Probabilities are taken as they are. Some codes of the field stretch each map to [0, 1] first; a certain model's maps
reach both ends anyway, and an empty map is not made to look full.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from py_sod_metrics import Emeasure, Smeasure, WeightedFmeasure

from promise_seg.arrays import BoolArray, Float32Array


@dataclass(frozen=True)
class StructureScores:
    """All within [0, 1], better when higher.

    ``e_max`` and ``e_mean`` are over 256 thresholds; the maximum is each image's own. Rules where they are not
    defined: see :func:`score_structure`.
    """

    s_measure: float
    e_max: float
    e_mean: float
    e_adaptive: float
    weighted_f: float


class _Smeasure(Smeasure):
    """Without what lies beyond an object's centre in the last row or column: a part of no pixels, whose weight is 0."""

    def ssim(self, pred: npt.NDArray[np.float64], gt: BoolArray) -> float:
        return float(super().ssim(pred, gt)) if pred.size else 0.0


def score_structure(mask_probs: Float32Array, truth: BoolArray, predicted: BoolArray | None = None) -> StructureScores:
    """Score probabilities against the truth.

    All are of the probabilities, as published, whatever threshold and post-processing a mask was made of them with:
    E-measures have thresholds of their own, and S-measure and weighted F say how sure the model is as well. Models with
    and without post-processing are compared by the same measure so. The mask decides only whether anything is
    ``predicted``; by default it is what lies above 0.5.

    Rules where the measures are not defined: with an empty truth E-measures and weighted F are 1 if nothing is
    predicted and 0 otherwise; weighted F is 0 where nothing is predicted of an object. What else there is in an image
    of a single row or column has no structure: there all are 1 less the mean absolute error.

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
