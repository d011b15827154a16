"""S-measure, E-measure and F-measures, as reported for polyp segmentation, computed by ``pysodmetrics``.

The raw probabilities are used. Some published code stretches each map to [0, 1] first. The maps of a confident model
reach both ends anyway, and without stretching, an empty map does not become a full one.
"""

from dataclasses import dataclass

import numpy as np
from py_sod_metrics import Emeasure, FmeasureHandler, FmeasureV2, Smeasure, WeightedFmeasure

from promise_seg.arrays import BoolArray, Float32Array, Float64Array

THRESHOLDS = np.linspace(1, 0, 256)
"""The thresholds of all curves, in descending order; pixels at or above the threshold are foreground."""
_BETA_SQUARED = 0.3


@dataclass(frozen=True)
class StructureScores:
    """The structure scores of one image, in [0, 1]; higher is better.

    ``e_curve`` and ``f_curve`` (256,) are the E-measure and F-measure at each of :data:`THRESHOLDS`. The ``maxEm`` and
    ``maxFm`` of the literature are the maxima of the mean curve over all images, so they are not defined for a single
    image. ``e_adaptive`` and ``f_adaptive`` are the values at twice the mean probability. For the rules where the
    scores are not defined, see :func:`score_structure`.
    """

    s_measure: float
    e_curve: Float64Array
    e_adaptive: float
    f_curve: Float64Array
    f_adaptive: float
    weighted_f: float


class _Smeasure(Smeasure):
    """The S-measure that skips an empty part, of weight 0, beyond an object's centre in the last row or column."""

    def ssim(self, pred: Float64Array, gt: BoolArray) -> float:
        return float(super().ssim(pred, gt)) if pred.size else 0.0


def score_structure(mask_probs: Float32Array, truth: BoolArray, predicted: BoolArray | None = None) -> StructureScores:
    """Score probabilities against the ground truth.

    All scores use the probabilities, as in the publications, regardless of the threshold and post-processing of the
    mask: E-measures and F-measures have their own thresholds, and S-measure and weighted F also depend on confidence.
    Models with and without post-processing are therefore compared by the same measure. The mask ``predicted`` only
    decides whether anything is predicted; by default it is the pixels above 0.5.

    Rules where the measures are not defined: for an empty ground truth, E-measures, F-measures and weighted F are 1 if
    nothing is predicted and 0 otherwise. Weighted F is 0 if an object is missed entirely. An image of a single row or
    column has no structure: its S-measure, E-measures and weighted F are 1 minus the mean absolute error.

    Shape: all (H, W), in the image frame.
    Raises: ValueError if the shapes differ.
    Source: Fan et al. 2017 (S-measure) and 2018 (E-measure), Achanta et al. 2009 (F-measure, the square of beta is
        0.3), Margolin et al. 2014 (weighted F).
    """
    predicted = mask_probs > 0.5 if predicted is None else predicted
    if not mask_probs.shape == truth.shape == predicted.shape:
        raise ValueError(f"prediction is {mask_probs.shape}, its mask {predicted.shape}, truth is {truth.shape}")
    probs, is_silent = np.asarray(mask_probs, np.float64), not predicted.any()
    if not truth.any():
        given = float(is_silent)
        return StructureScores(1 - float(np.mean(probs)), _level(given), given, _level(given), given, given)
    f_curve, f_adaptive = _f_measures(probs, truth)
    if min(truth.shape) < 2:
        alike = 1 - float(np.abs(probs - truth).mean())
        return StructureScores(alike, _level(alike), alike, f_curve, f_adaptive, 0.0 if is_silent else alike)
    s_measure, e_measure, weighted = _Smeasure(), Emeasure(), WeightedFmeasure()
    for one in (s_measure, e_measure, weighted):
        one.step(probs, truth, normalize=False)
    found = e_measure.get_results()["em"]
    return StructureScores(
        s_measure=float(s_measure.get_results()["sm"]),
        e_curve=np.minimum(np.asarray(found["curve"], np.float64), 1),  # may exceed 1, as its divisor is pixels - 1
        e_adaptive=min(1.0, float(found["adp"])),
        f_curve=f_curve,
        f_adaptive=f_adaptive,
        weighted_f=0.0 if is_silent else float(weighted.get_results()["wfm"]),
    )


def _level(value: float) -> Float64Array:
    return np.full(len(THRESHOLDS), value)


def _f_measures(probs: Float64Array, truth: BoolArray) -> tuple[Float64Array, float]:
    """Return the F-measure at each threshold (256,), and at the adaptive threshold."""
    measure = FmeasureV2({"fm": FmeasureHandler(beta=_BETA_SQUARED, with_dynamic=True, with_adaptive=True)})
    measure.step(probs, truth, normalize=False)
    found = measure.get_results()["fm"]
    return np.asarray(found["dynamic"], np.float64), float(found["adaptive"])
