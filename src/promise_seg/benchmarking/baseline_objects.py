"""Separate the objects in the mask of a baseline, if masks are instance maps, by a watershed whose rule is fitted."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import BoolArray, Float32Array, Uint16Array
from promise_seg.assessment.objects import score_instance_maps
from promise_seg.dataset.checks import CheckedRow
from promise_seg.learning.instance_choices import PROMINENCES
from promise_seg.learning.object_sizes import spread
from promise_seg.prompting.separating import separate

AREA_QUANTILES = (0.0, 0.01, 0.05)
"""Quantiles of the areas of ground-truth objects; each is tried as the least area of an object."""
_MOST_ROWS = 40


class ObjectRule(NamedTuple):
    """The rule by which the objects of a mask are separated.

    Args:
        prominence: the least height of a peak of the depths above the saddle to a higher peak, for it to be an object.
        least_area: the least area of an object, in pixels; smaller objects are left out.
    """

    prominence: float
    least_area: float = 0.0


class Foreground(NamedTuple):
    """The foreground that a baseline finds in an image: the ``mask`` (H, W), and the ``depth`` (H, W) of each pixel
    inside of its object, 0 to 1."""

    mask: BoolArray
    depth: Float32Array


def objects_of(found: Foreground, rule: ObjectRule) -> Uint16Array:
    """Return the instance map (H, W) of an image, numbered from 1 without gaps."""
    regions = separate(found.mask, found.depth, rule.prominence).regions
    stays = np.bincount(regions.ravel()) >= rule.least_area
    stays[0] = False
    numbers = np.where(stays, np.cumsum(stays), 0)
    return numbers[regions].astype(np.uint16)


def choose_object_rule(rows: Sequence[CheckedRow], find: Callable[[CheckedRow], Foreground]) -> ObjectRule:
    """Return the rule with the best F1, averaged over IoU thresholds from 0.5 to 0.95 and over rows.

    The prominence is chosen first, then the least area.

    Args:
        rows: rows with instance maps; at most 40 evenly spaced rows are used.
        find: returns the foreground that the baseline finds in a row.
    """
    rows = spread(rows, _MOST_ROWS)
    found = [find(row) for row in rows]
    truth = [row.labels() for row in rows]
    areas = np.concatenate([_areas(labels) for labels in truth])
    best, best_f1 = ObjectRule(PROMINENCES[0]), -1.0
    quantiles = np.quantile(areas, AREA_QUANTILES).tolist() if len(areas) else [0.0]
    for name, values in (("prominence", PROMINENCES), ("least_area", (0.0, *quantiles))):
        for value in values:
            rule = best._replace(**{name: value})
            scores = [
                score_instance_maps(objects_of(one, rule), labels).mean_f1
                for one, labels in zip(found, truth, strict=True)
            ]
            if (f1 := float(np.mean(scores))) > best_f1:
                best, best_f1 = rule, f1
    return best


def _areas(labels: np.ndarray) -> np.ndarray:
    """Return the number of pixels of each object of an instance map (H, W), whose numbers may have gaps."""
    numbers, areas = np.unique(labels, return_counts=True)
    return areas[numbers > 0]
