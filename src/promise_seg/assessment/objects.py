"""Scores of instance maps: which objects were found, and how well."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from promise_seg.arrays import BoolArray

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""The IoU thresholds at which an object counts as found: 0.5, 0.55 ... 0.95."""


@dataclass(frozen=True)
class ObjectScores:
    """``average_precision``: hits / (hits + false alarms + misses), the mean over IoU of 0.5 ... 0.95, as for nuclei in
    the Data Science Bowl 2018; ``average_precision_50`` at 0.5; ``panoptic_quality`` after Kirillov et al. 2019, whose
    hits have an IoU above 0.5: one of just 0.5 is none, other than for the precision.

    With no object in the truth and none predicted all are 1.
    """

    average_precision: float
    average_precision_50: float
    panoptic_quality: float
    objects: int
    predicted_objects: int


def iou_matrix(predicted: Sequence[BoolArray], truth: Sequence[BoolArray]) -> npt.NDArray[np.float64]:
    """Return the IoU of each predicted mask (H, W) with each true one: (predicted, true). Masks may overlap."""
    matrix = np.zeros((len(predicted), len(truth)))
    areas = np.array([np.count_nonzero(mask) for mask in truth], np.float64)
    for row, mask in enumerate(predicted):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            continue
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        inside, area = mask[part], np.count_nonzero(mask)
        shared = np.array([np.count_nonzero(inside & other[part]) for other in truth], np.float64)
        matrix[row] = shared / np.maximum(area + areas - shared, 1)
    return matrix


def score_objects(predicted: Sequence[BoolArray], truth: Sequence[BoolArray]) -> ObjectScores:
    """Match predicted with true masks (H, W), each at most once, to maximise the sum of their IoU."""
    matrix = iou_matrix(predicted, truth)
    precisions = [_matched(matrix, threshold)[0] for threshold in THRESHOLDS]
    matched = _matched(matrix, np.nextafter(0.5, 1))[1]
    lost = (len(predicted) - len(matched)) / 2 + (len(truth) - len(matched)) / 2
    empty = not len(predicted) and not len(truth)
    return ObjectScores(
        average_precision=float(np.mean(precisions)),
        average_precision_50=precisions[0],
        panoptic_quality=1.0 if empty else float(matched.sum() / (len(matched) + lost)),
        objects=len(truth),
        predicted_objects=len(predicted),
    )


def _matched(matrix: npt.NDArray[np.float64], threshold: float) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the precision at a threshold, and the IoU of the pairs that reach it."""
    if not sum(matrix.shape):
        return 1.0, np.zeros(0)
    possible = np.where(matrix >= threshold, matrix, 0.0)
    pairs = possible[linear_sum_assignment(possible, maximize=True)]
    found = pairs[pairs > 0]
    return len(found) / (matrix.shape[0] + matrix.shape[1] - len(found)), found
