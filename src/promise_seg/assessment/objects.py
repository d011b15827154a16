"""Scores of instance maps: which objects were found, and how well."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from promise_seg.arrays import LabelArray
from promise_seg.images.cut_masks import CutMask

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""The IoU thresholds at which an object counts as found: 0.5, 0.55 ... 0.95."""


@dataclass(frozen=True)
class ObjectScores:
    """``average_precision``: hits / (hits + false alarms + misses), the mean over IoU of 0.5 ... 0.95, as for nuclei in
    the Data Science Bowl 2018; ``average_precision_50`` at 0.5; ``panoptic_quality`` after Kirillov et al. 2019, whose
    hits have an IoU above 0.5: one of just 0.5 is none, other than for the precision. ``f1`` at each of
    :data:`THRESHOLDS` is 2 hits / (predicted + true objects); ``count_error`` the difference of their numbers as a
    share of the larger one.

    With no object in the ground truth and none predicted all are 1, and the count error is 0.
    """

    average_precision: float
    average_precision_50: float
    panoptic_quality: float
    f1: tuple[float, ...]
    objects: int
    predicted_objects: int

    def f1_at(self, threshold: float) -> float:
        """Return the F1 at one of :data:`THRESHOLDS`."""
        return self.f1[THRESHOLDS.index(threshold)]

    @property
    def mean_f1(self) -> float:
        """The mean of the F1 over all thresholds."""
        return float(np.mean(self.f1))

    @property
    def count_error(self) -> float:
        """How far the number of objects is off, within [0, 1]."""
        return abs(self.predicted_objects - self.objects) / max(self.predicted_objects, self.objects, 1)


def iou_matrix(predicted: Sequence[CutMask], truth: Sequence[CutMask]) -> npt.NDArray[np.float64]:
    """Return the IoU of each predicted mask with each true one: (predicted, true). Masks may overlap."""
    matrix = np.zeros((len(predicted), len(truth)))
    lefts, tops, rights, bottoms = np.array([other.box for other in truth]).reshape(-1, 4).T
    for row, one in enumerate(predicted):
        left, top, right, bottom = one.box
        for column in np.flatnonzero((lefts < right) & (left < rights) & (tops < bottom) & (top < bottoms)):
            shared = one.shared_pixels(truth[column])
            matrix[row, column] = shared / (one.area + truth[column].area - shared)
    return matrix


def score_objects(predicted: Sequence[CutMask], truth: Sequence[CutMask]) -> ObjectScores:
    """Match predicted with true masks of one image, each at most once, to maximise the sum of their IoU."""
    matrix = iou_matrix(predicted, truth)
    found = [_matched(matrix, threshold) for threshold in _ALL_THRESHOLDS]
    return _scores(found, len(predicted), len(truth))


def score_instance_maps(predicted: LabelArray, truth: LabelArray) -> ObjectScores:
    """Match the objects of two instance maps (H, W), whose numbers may have gaps; an object may be in several pieces.

    It gives what :func:`score_objects` does, without a mask for each of many objects, or a cell for each pair of them.
    """
    ids, of_predicted = np.unique(predicted, return_inverse=True)
    true_ids, of_truth = np.unique(truth, return_inverse=True)
    pairs_of_pixels = of_predicted.ravel().astype(np.int64) * len(true_ids) + of_truth.ravel()
    found_pairs, counts = np.unique(pairs_of_pixels, return_counts=True)
    first, second = np.divmod(found_pairs, len(true_ids))
    shared = counts.astype(np.float64)
    areas, true_areas = np.bincount(first, shared), np.bincount(second, shared)
    iou = shared / (areas[first] + true_areas[second] - shared)
    is_object = (ids[first] != 0) & (true_ids[second] != 0)
    pairs = first[is_object], second[is_object], iou[is_object]
    found = [_matched_pairs(*pairs, threshold) for threshold in _ALL_THRESHOLDS]
    return _scores(found, int(np.count_nonzero(ids)), int(np.count_nonzero(true_ids)))


_ALL_THRESHOLDS = (*THRESHOLDS, float(np.nextafter(0.5, 1)))


def _scores(found: Sequence[npt.NDArray[np.float64]], predicted: int, true: int) -> ObjectScores:
    """Return the scores by the IoU of the matched pairs at each of the thresholds, and just above 0.5."""
    *at_thresholds, matched = found
    hits = [len(one) for one in at_thresholds]
    both = predicted + true
    precisions = [count / (both - count) if both else 1.0 for count in hits]
    return ObjectScores(
        average_precision=float(np.mean(precisions)),
        average_precision_50=precisions[0],
        panoptic_quality=float(matched.sum() / (len(matched) + (both - 2 * len(matched)) / 2)) if both else 1.0,
        f1=tuple(2 * count / both if both else 1.0 for count in hits),
        objects=true,
        predicted_objects=predicted,
    )


def _matched(matrix: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.float64]:
    """Return the IoU of the pairs that reach a threshold."""
    if not matrix.size:
        return np.zeros(0)
    possible = np.where(matrix >= threshold, matrix, 0.0)
    pairs = possible[linear_sum_assignment(possible, maximize=True)]
    return pairs[pairs > 0]


def _matched_pairs(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], iou: npt.NDArray[np.float64], threshold: float
) -> npt.NDArray[np.float64]:
    """Return the same for the pairs of two maps: above 0.5 an object has one partner at most, at 0.5 two of them."""
    possible = iou >= threshold
    first, second, iou = first[possible], second[possible], iou[possible]
    if not len(iou):
        return np.zeros(0)
    graph = csr_array((iou, (first, second)))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    return iou[partner[first] == second]
