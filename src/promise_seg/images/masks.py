"""Turn the labels of a mask file into the mask of the object to segment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator

from promise_seg.arrays import BoolArray
from promise_seg.errors import MaskError
from promise_seg.vocabulary import MaskKind

LARGEST_LABEL = 65535
_ROUNDING = 1e-3
"""The distance from a whole number, beside that of a file's own scale, which is a label's rounding error."""
_FEW_LABELS = 16
"""Whole numbers up to this are classes or objects rather than levels of grey."""

_PARTS_OF_A_CLASS = 4
"""Objects are seldom in so many separate parts on average, classes often are."""


def plain_number(value: float) -> float:
    """Return a whole number as int, so that 127 is written and hashed the same whether it was given as 127.0 or not."""
    return int(value) if float(value).is_integer() else value


Threshold = Annotated[float, AfterValidator(plain_number)]
"""A value above which a mask is foreground: 127 of grey levels, 0.5 of probabilities."""


@dataclass(frozen=True)
class MaskRule:
    """The rule by which labels become a mask. ``label`` is the class to segment; ``threshold`` allows grey values."""

    kind: MaskKind = MaskKind.BINARY
    label: int | None = None
    threshold: float | None = None


BINARY = MaskRule()


def without_rounding(labels: npt.NDArray, step: float = 0.0) -> npt.NDArray:
    """Return labels as the whole numbers that they were before they were stored as floating-point or scaled numbers.

    They are rounded only if all of them are next to whole numbers: within half a step of the file's own scale, as
    ``scl_slope`` of NIfTI makes 0.996 of 1, and within a thousandth. Otherwise they are returned as they are.

    Args:
        labels: (H, W), of any type.
        step: the distance between neighbouring values that the file can store; 0 if it is not known. One of 1 or more
            tells nothing.
    """
    if labels.dtype.kind != "f":
        return labels
    whole = np.round(labels) + 0.0  # and no -0.0
    allowed = (step / 2 if step < 1 else 0.0) + _ROUNDING
    with np.errstate(invalid="ignore"):
        return whole.astype(labels.dtype) if (np.abs(labels - whole) <= allowed).all() else labels


def mask_of(labels: npt.NDArray, rule: MaskRule, path: Path, highest: Callable[[], float] | None = None) -> BoolArray:
    """Return the mask that a rule makes of labels (H, W).

    Args:
        labels: the values of one slice.
        rule: how they become a mask.
        path: of the mask, for messages.
        highest: returns the highest value of the whole file, of which this slice may have lower ones only.

    Raises:
        MaskError: if the labels do not fit the rule.
    """
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise MaskError(
            f"{path}: has {np.count_nonzero(np.isnan(labels))} values that are not a number (NaN); expected 0 for "
            "background. Save it with 0 in their place"
        )
    if rule.threshold is not None:
        return _above(labels, rule.threshold, path, highest)
    if rule.kind == MaskKind.BINARY:
        levels = np.unique(labels)
        if len(levels[levels != 0]) > 1:
            raise MaskError(_not_two_values(path, levels, _highest(levels, highest)))
    elif labels.min() < 0 or labels.max() > LARGEST_LABEL:
        raise MaskError(
            f"{path}: found labels from {labels.min()} to {labels.max()}; expected 0 for background and others up to "
            f"{LARGEST_LABEL}"
        )
    elif not _are_whole(labels):
        fraction = labels[labels != np.round(labels)][0]
        raise MaskError(
            f"{path}: labels are not whole numbers, such as {fraction:.6g}; expected 0 for background and 1, 2 ... for "
            "others. If the label map was resampled, resample it with nearest neighbours; if it is a soft mask of one "
            f"object, pass {_option(_highest(labels, highest))} instead"
        )
    return labels != 0 if rule.label is None else labels == rule.label


def _above(labels: npt.NDArray, threshold: float, path: Path, highest: Callable[[], float] | None) -> BoolArray:
    if labels.dtype == bool:
        return labels
    if 0 < labels.max() <= threshold and len(np.unique(labels)) <= 2 and _are_whole(labels):
        most = _highest(labels, highest)
        if most <= threshold:
            raise MaskError(
                f"{path}: has no value above {most:g}, so --mask-threshold {threshold:g} makes it empty. Omit or lower "
                "the threshold"
            )
    return labels > threshold


def _highest(labels: npt.NDArray, of_file: Callable[[], float] | None) -> float:
    found = float("nan") if of_file is None else of_file()
    return float(labels.max()) if np.isnan(found) else found


def _are_whole(labels: npt.NDArray) -> bool:
    return labels.dtype.kind != "f" or np.array_equal(labels, np.round(labels))


def _not_two_values(path: Path, levels: npt.NDArray, highest: float) -> str:
    """Describe the values (N,) of a mask that has too many of them, and what they may mean."""
    found = (
        f"{path}: a mask must have two values, 0 and one other; found {len(levels)} values from {levels[0]:g} to "
        f"{levels[-1]:g}. "
    )
    if not highest > 0:
        return found + "Save it with 0 for background and 1 for the object"
    if not _are_whole(levels):
        return found + f"If they are probabilities, or were made by smooth resampling, pass {_option(highest)}"
    classes = "if they are classes, pass --class; if objects, --instances"
    if highest <= _FEW_LABELS:
        return found + classes.capitalize()
    return found + (
        "If they are intermediate grey values of JPEG or smooth resizing, save it as PNG or pass "
        f"{_option(highest)}; {classes}"
    )


def _option(highest: float) -> str:
    return f"--mask-threshold {suggested_threshold(highest):g}"


def suggested_threshold(highest: float) -> float:
    """Return the middle between 0 and the highest value of a mask, in few digits: 127 for 255, 0.5 for about 1."""
    if highest >= 2 and float(highest).is_integer():
        return floor(highest / 2)
    return 0.5 if 0.75 <= highest <= 1.25 else float(f"{highest / 2:.2g}")


def note_on_instances(labels: npt.NDArray) -> str | None:
    """Return a warning about an instance map (H, W) whose numbers seem to be classes, as they have many parts each."""
    numbers = np.setdiff1d(labels, [0])
    if not 0 < len(numbers) <= _FEW_LABELS:
        return None
    parts = sum(cv2.connectedComponents((labels == one).astype(np.uint8), connectivity=8)[0] - 1 for one in numbers)
    if parts < _PARTS_OF_A_CLASS * len(numbers):
        return None
    return (
        "each of its numbers has many separate parts, as in a label map or a plain mask; expected a number of its own "
        "for each object. If the numbers are classes, pass --class; if there is only one, omit --instances"
    )


def instances_of(labels: npt.NDArray) -> Iterator[BoolArray]:
    """Yield the objects of an instance map (H, W), in the order of their labels."""
    for label in np.unique(labels):
        if label != 0:
            yield labels == label
