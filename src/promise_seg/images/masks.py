"""Turn the labels of a mask file into the mask of the object to segment."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promise_seg.arrays import BoolArray
from promise_seg.errors import MaskError
from promise_seg.vocabulary import MaskKind

LARGEST_LABEL = 65535


@dataclass(frozen=True)
class MaskRule:
    """The rule by which labels become a mask. ``label`` is the class to segment; ``threshold`` allows grey values."""

    kind: MaskKind = MaskKind.BINARY
    label: int | None = None
    threshold: int | None = None


BINARY = MaskRule()


def mask_of(labels: npt.NDArray, rule: MaskRule, path: Path) -> BoolArray:
    """Return the mask that a rule makes of labels (H, W).

    Raises:
        MaskError: if the labels do not fit the rule.
    """
    if rule.threshold is not None:
        if 0 < labels.max() <= rule.threshold and len(np.unique(labels)) <= 2:
            raise MaskError(
                f"{path}: has no value above {labels.max()}, so --mask-threshold {rule.threshold} makes it empty. "
                "Omit or lower the threshold"
            )
        return labels > rule.threshold
    if rule.kind == MaskKind.BINARY:
        levels = np.unique(labels)
        if len(levels[levels != 0]) > 1:
            raise MaskError(
                f"{path}: a mask must have two values, 0 and one other; found {len(levels)} values from {levels[0]} to "
                f"{levels[-1]}. If they are intermediate greys of JPEG or smooth resizing, save it as PNG or pass "
                "--mask-threshold 127; if they are classes, pass --class; if objects, --instances"
            )
    elif labels.min() < 0 or labels.max() > LARGEST_LABEL:
        raise MaskError(
            f"{path}: found labels from {labels.min()} to {labels.max()}; expected 0 for background and others up to "
            f"{LARGEST_LABEL}"
        )
    elif labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise MaskError(f"{path}: labels are not whole numbers; expected 0 for background and 1, 2 ... for others")
    return labels != 0 if rule.label is None else labels == rule.label


def instances_of(labels: npt.NDArray) -> Iterator[BoolArray]:
    """Yield the objects of an instance map (H, W), in the order of their labels."""
    for label in np.unique(labels):
        if label != 0:
            yield labels == label
