"""Object-level scores of instance maps: average precision, panoptic quality, F1 and count error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from promise_seg.arrays import Float64Array, IntArray, LabelArray
from promise_seg.images.cut_masks import CutMask

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""The IoU thresholds at which an object counts as found: 0.5, 0.55 ... 0.95."""


@dataclass(frozen=True)
class ObjectScores:
    """The object-level scores of one image.

    ``average_precision`` is hits / (hits + false alarms + misses), the mean over IoU thresholds of 0.5 ... 0.95, as for
    nuclei in the Data Science Bowl 2018; ``average_precision_50`` is the value at 0.5. ``panoptic_quality`` is defined
    by Kirillov et al. 2019: its hits have an IoU above 0.5, whereas an IoU of exactly 0.5 counts for the precision.
    ``f1`` is 2 hits / (predicted + true objects) at each of :data:`THRESHOLDS`. ``count_error`` is the difference of
    the numbers of objects as a share of the larger number.

    If there is no object in the ground truth and none is predicted, all scores are 1, and the count error is 0.
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
        """The difference of the numbers of objects as a share of the larger number, in [0, 1]."""
        return abs(self.predicted_objects - self.objects) / max(self.predicted_objects, self.objects, 1)


def iou_matrix(predicted: Sequence[CutMask], truth: Sequence[CutMask]) -> Float64Array:
    """Return the IoU of each predicted mask with each true mask, as a matrix (predicted, true). Masks may overlap."""
    matrix = np.zeros((len(predicted), len(truth)))
    lefts, tops, rights, bottoms = np.array([other.box for other in truth]).reshape(-1, 4).T
    for row, one in enumerate(predicted):
        left, top, right, bottom = one.box
        for column in np.flatnonzero((lefts < right) & (left < rights) & (tops < bottom) & (top < bottoms)):
            shared = one.shared_pixels(truth[column])
            matrix[row, column] = shared / (one.area + truth[column].area - shared)
    return matrix


def score_objects(predicted: Sequence[CutMask], truth: Sequence[CutMask]) -> ObjectScores:
    """Score the objects of one image, matched one to one with the true objects to maximise the sum of their IoU."""
    matrix = iou_matrix(predicted, truth)
    found = [_matched(matrix, threshold) for threshold in _ALL_THRESHOLDS]
    return _scores(found, len(predicted), len(truth))


def score_instance_maps(predicted: LabelArray, truth: LabelArray) -> ObjectScores:
    """Score the objects of one image from instance maps (H, W).

    Numbers of objects may have gaps, and an object may have several connected components. The result is that of
    :func:`score_objects`, without the memory for a mask of each object and a matrix of all pairs.
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


def _scores(found: Sequence[Float64Array], predicted: int, true: int) -> ObjectScores:
    """Return the scores from the IoU of the matched pairs, at each of :data:`THRESHOLDS` and just above 0.5."""
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


def _matched(matrix: Float64Array, threshold: float) -> Float64Array:
    """Return the IoU of the matched pairs that reach a threshold, from the matrix of all pairs."""
    if not matrix.size:
        return np.zeros(0)
    possible = np.where(matrix >= threshold, matrix, 0.0)
    pairs = possible[linear_sum_assignment(possible, maximize=True)]
    return pairs[pairs > 0]


def _matched_pairs(first: IntArray, second: IntArray, iou: Float64Array, threshold: float) -> Float64Array:
    """Return the IoU of the matched pairs that reach a threshold, from a list of pairs that overlap.

    Above an IoU of 0.5, an object has at most one partner; at exactly 0.5 it may have two.
    """
    possible = iou >= threshold
    first, second, iou = first[possible], second[possible], iou[possible]
    if not len(iou):
        return np.zeros(0)
    graph = csr_array((iou, (first, second)))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    return iou[partner[first] == second]
