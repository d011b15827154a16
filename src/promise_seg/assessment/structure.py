"""Measures of how alike two pictures of an object are, as the polyp field reports them. Computed by ``pysodmetrics``.

Probabilities are taken as they are. Some codes of the field stretch each map to [0, 1] first; a certain model's maps
reach both ends anyway, and an empty map is not made to look full.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from py_sod_metrics import Emeasure, Smeasure, WeightedFmeasure

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


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


def score_structure(mask_probs: FloatArray, truth: BoolArray) -> StructureScores:
    """Score probabilities (H, W) against the truth (H, W), in the image frame.

    Rules where the measures are not defined: with an empty truth E-measures and weighted F are 1 if nothing is
    predicted above 0.5 and 0 otherwise; weighted F is 0 where nothing is predicted of an object; in an image of a
    single row or column, which has no structure, all are 1 less the mean absolute error.

    Source: Fan et al. 2017 (S-measure) and 2018 (E-measure), Margolin et al. 2014 (weighted F).
    """
    probs = np.asarray(mask_probs, np.float64)
    if min(truth.shape) < 2:
        return StructureScores(*[1 - float(np.abs(probs - truth).mean())] * 5)
    s_measure = Smeasure()
    s_measure.step(probs, truth, normalize=False)
    structure = float(s_measure.get_results()["sm"])
    is_silent = not (probs > 0.5).any()
    if not truth.any():
        return StructureScores(structure, *[float(is_silent)] * 4)
    e_measure, weighted = Emeasure(), WeightedFmeasure()
    e_measure.step(probs, truth, normalize=False)
    weighted.step(probs, truth, normalize=False)
    found = e_measure.get_results()["em"]
    curve = np.minimum(np.asarray(found["curve"], np.float64), 1)  # divided by one pixel less than there are
    return StructureScores(
        s_measure=structure,
        e_max=float(curve.max()),
        e_mean=float(curve.mean()),
        e_adaptive=min(1.0, float(found["adp"])),
        weighted_f=0.0 if is_silent else float(weighted.get_results()["wfm"]),
    )
