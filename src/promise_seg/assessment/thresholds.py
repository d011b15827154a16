"""Thresholds that divide images with an object from those without."""

import numpy as np

from promise_seg.arrays import BoolArray, Float64Array


def best_threshold(scores: Float64Array, truth: BoolArray) -> float:
    """Return the threshold on scores (n,) with the highest balanced accuracy; the lowest of equally good ones.

    ``truth`` (n,) must hold both values.
    """
    ordered = np.unique(scores)
    tried = np.concatenate([ordered[:1], (ordered[:-1] + ordered[1:]) / 2])
    return float(tried[int(np.argmax([sensitivity_plus_specificity(scores < one, truth) for one in tried]))])


def sensitivity_plus_specificity(nothing_here: BoolArray, has_object: BoolArray) -> float:
    """Return twice the balanced accuracy: 1 by chance, 2 at best."""
    return float((~nothing_here)[has_object].mean() + nothing_here[~has_object].mean())
