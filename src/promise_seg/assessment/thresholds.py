"""Thresholds that separate images with an object from those without."""

import numpy as np

from promise_seg.arrays import BoolArray, Float64Array

LEAST_GAIN = 0.1
"""The minimum gain in the sum of sensitivity and specificity for which a decision is learned."""


def best_threshold(scores: Float64Array, truth: BoolArray) -> float:
    """Return the threshold on scores (n,) with the highest balanced accuracy; the lowest of equally good thresholds.

    An image counts as empty if its score is below the threshold. ``truth`` (n,) tells which images have an object; it
    must hold both values.
    """
    ordered = np.unique(scores)
    tried = np.concatenate([ordered[:1], (ordered[:-1] + ordered[1:]) / 2])
    return float(tried[int(np.argmax([sensitivity_plus_specificity(scores < one, truth) for one in tried]))])


def sensitivity_plus_specificity(nothing_here: BoolArray, has_object: BoolArray) -> float:
    """Return twice the balanced accuracy: 1 by chance, 2 at best."""
    return float((~nothing_here)[has_object].mean() + nothing_here[~has_object].mean())


def is_worthwhile(gain: float, has_object: BoolArray) -> bool:
    """Whether a gain in the sum of sensitivity and specificity is large enough to be worth a decision.

    It must be at least :data:`LEAST_GAIN`, and at least twice the standard error of guessing on as many images.
    ``has_object`` (n,) tells which images have an object.
    """
    by_luck = 2 * np.sqrt(0.25 / np.count_nonzero(has_object) + 0.25 / np.count_nonzero(~has_object))
    return bool(gain >= max(LEAST_GAIN, by_luck))
