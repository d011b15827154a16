"""Estimate what the values of a mask with more than two values are: objects, classes or intermediate grey values."""

from enum import StrEnum

import cv2
import numpy as np

from promise_seg.arrays import Array

FEW_LABELS = 16
"""Whole numbers up to this are classes or objects rather than grey levels."""
PARTS_OF_A_CLASS = 4
"""The mean number of connected components per label from which labels are probably classes, not objects."""
_PARTS_OF_AN_OBJECT = 1.5
"""The mean number of connected components per label up to which labels are probably objects."""
_LEAST_DENSITY = 0.5
"""The least number of labels of an instance map, as a share of the highest label."""
_NEAR = 0.1
"""The distance to 0 or to the highest value, as a share of the latter, of most grey levels of a compressed mask."""
_MOST = 0.6
"""The share of the foreground that has such grey levels in a compressed or resized mask."""
_SAMPLED = 12
"""The number of labels whose connected components are counted."""


class LabelMeaning(StrEnum):
    """The probable meaning of the values of a mask."""

    INSTANCES = "instances"
    CLASSES = "classes"
    GREY = "grey values"


def meaning_of(labels: Array) -> LabelMeaning | None:
    """Return what the values of a mask probably are; ``None`` if they have one meaning only, or may have several.

    Args:
        labels: whole numbers (H, W), 0 for background.
    """
    numbers = np.setdiff1d(labels, [0])
    if len(numbers) < 2 or numbers[0] < 0:
        return None
    highest = numbers[-1]
    if highest > FEW_LABELS and _are_near_the_ends(labels, float(highest)):
        return LabelMeaning.GREY
    if len(numbers) <= FEW_LABELS:
        has_classes = highest > FEW_LABELS or _mean_parts(labels, numbers) >= PARTS_OF_A_CLASS
        return LabelMeaning.CLASSES if has_classes else None
    is_dense = len(numbers) >= _LEAST_DENSITY * highest or highest > np.iinfo(np.uint8).max
    return LabelMeaning.INSTANCES if is_dense and _mean_parts(labels, numbers) <= _PARTS_OF_AN_OBJECT else None


def are_single_parts(labels: Array) -> bool:
    """Whether nearly every label, except 0, of a label or instance map (H, W) is one connected component."""
    numbers = np.setdiff1d(labels, [0])
    return len(numbers) > 0 and _mean_parts(labels, numbers) <= _PARTS_OF_AN_OBJECT


def _are_near_the_ends(labels: Array, highest: float) -> bool:
    foreground = labels[labels != 0]
    near = (foreground <= _NEAR * highest) | (foreground >= (1 - _NEAR) * highest)
    return float(near.mean()) >= _MOST


def _mean_parts(labels: Array, numbers: Array) -> float:
    """Return the mean number of connected components of the labels (N,), or of some of them if they are many."""
    at = np.unique(np.linspace(0, len(numbers) - 1, _SAMPLED).round().astype(int))
    return float(np.mean([count_parts(labels, number) for number in numbers[at]]))


def count_parts(labels: Array, number: float) -> int:
    """Return the number of connected components, with diagonal neighbours, of one label in labels (H, W)."""
    return int(cv2.connectedComponents((labels == number).astype(np.uint8), connectivity=8)[0]) - 1
