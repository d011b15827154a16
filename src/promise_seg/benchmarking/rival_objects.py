"""The separate objects of a rival, where masks are instance maps: a watershed of its mask, by a rule chosen on rows."""

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
"""Areas below which these shares of the true objects are; each is tried as the least area of an object."""
_MOST_ROWS = 40


class ObjectRule(NamedTuple):
    """How the objects of a mask are told apart.

    Args:
        prominence: how far a peak of the depths rises above the pass to a higher one, so that it is an object.
        least_area: objects of fewer pixels are left out.
    """

    prominence: float
    least_area: float = 0.0


class Foreground(NamedTuple):
    """The foreground that a rival found in an image: its ``mask`` (H, W), and the ``depth`` (H, W) of each pixel inside
    of its object, 0 to 1."""

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
    """Return the rule with the best F1, the mean over IoU of 0.5 ... 0.95 and over some rows.

    One choice after the other: how far peaks rise, then the least area.

    Args:
        rows: with instance maps; of many, some are taken, evenly.
        find: what the rival finds in a row.
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
