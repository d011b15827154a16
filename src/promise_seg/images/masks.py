"""Turn the labels of a mask file into the mask of the object to segment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from promise_seg.arrays import Array, BoolArray
from promise_seg.errors import MaskError
from promise_seg.images.label_meaning import FEW_LABELS, PARTS_OF_A_CLASS, LabelMeaning, count_parts, meaning_of
from promise_seg.vocabulary import MaskKind

LARGEST_LABEL = 65535
_ROUNDING = 1e-3
"""The largest rounding error of a label, in addition to that of the file's own scale."""
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")


def plain_number(value: float) -> float:
    """Return a whole number as int, so that 127 and 127.0 are written and hashed the same."""
    return int(value) if float(value).is_integer() else value


Threshold = Annotated[float, AfterValidator(plain_number)]
"""A value above which a mask is foreground, such as 127 for grey levels and 0.5 for probabilities."""


@dataclass(frozen=True)
class MaskRule:
    """The rule that turns labels into a mask: ``label`` is the class to segment; ``threshold`` allows grey values."""

    kind: MaskKind = MaskKind.BINARY
    label: int | None = None
    threshold: float | None = None


BINARY = MaskRule()


def without_rounding(labels: Array, step: float = 0.0) -> Array:
    """Round labels that were stored as floating-point or scaled numbers to the original whole numbers.

    Labels are rounded only if all of them are close to whole numbers: within half a step of the file's own scale, as
    ``scl_slope`` of NIfTI turns 1 into 0.996, plus a thousandth. Otherwise they are returned unchanged.

    Args:
        labels: labels (H, W) of any type.
        step: distance between neighbouring values that the file can store; 0 if unknown. A step of 1 or more is
            ignored.
    """
    if labels.dtype.kind != "f":
        return labels
    whole = np.round(labels) + 0.0  # and no -0.0
    allowed = (step / 2 if step < 1 else 0.0) + _ROUNDING
    with np.errstate(invalid="ignore"):
        return whole.astype(labels.dtype) if (np.abs(labels - whole) <= allowed).all() else labels


def mask_of(labels: Array, rule: MaskRule, path: Path, highest: Callable[[], float] | None = None) -> BoolArray:
    """Turn labels (H, W) into a mask (H, W).

    Args:
        labels: the values of one slice.
        rule: the rule that turns labels into a mask.
        path: file of the mask, for messages.
        highest: returns the highest value of the whole file, as a slice may have only lower ones; a threshold that no
            value of the file exceeds is then an error. Without it, a slice or tile below the threshold is empty.

    Raises:
        MaskError: if the labels contain NaN, or do not fit the rule.
    """
    refuse_nan(labels, path)
    if rule.threshold is not None:
        return _above(labels, rule.threshold, path, highest)
    if rule.kind == MaskKind.BINARY:
        levels = np.unique(labels)
        if len(levels[levels != 0]) > 1:
            raise MaskError(_not_two_values(path, labels, levels, _highest(levels, highest)))
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


def refuse_nan(labels: Array, path: Path) -> None:
    """Check that labels of any shape and type contain no NaN, which would count as foreground.

    Raises:
        MaskError: if they contain NaN.
    """
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise MaskError(
            f"{path}: has {np.count_nonzero(np.isnan(labels))} values that are not a number (NaN); expected 0 for "
            "background. Save it with 0 in their place"
        )


def _above(labels: Array, threshold: float, path: Path, highest: Callable[[], float] | None) -> BoolArray:
    if labels.dtype == bool:
        return labels
    if highest is not None and 0 < labels.max() <= threshold and len(np.unique(labels)) <= 2 and _are_whole(labels):
        most = _highest(labels, highest)
        if most <= threshold:
            raise MaskError(
                f"{path}: has no value above {most:g}, so --mask-threshold {threshold:g} makes it empty. Omit or lower "
                "the threshold"
            )
    return labels > threshold


def _highest(labels: Array, of_file: Callable[[], float] | None) -> float:
    found = float("nan") if of_file is None else of_file()
    return float(labels.max()) if np.isnan(found) else found


def _are_whole(labels: Array) -> bool:
    return labels.dtype.kind != "f" or np.array_equal(labels, np.round(labels))


def _not_two_values(path: Path, labels: Array, levels: Array, highest: float) -> str:
    """Return the error message for a mask (H, W) with more than two values (N,), with the likeliest meaning first."""
    found = (
        f"{path}: a mask must have two values, 0 and one other; found {len(levels)} values from {levels[0]:g} to "
        f"{levels[-1]:g}. "
    )
    if not highest > 0:
        return found + "Save it with 0 for background and 1 for the object"
    if not _are_whole(levels):
        return found + f"If they are probabilities, or were made by smooth resampling, pass {_option(highest)}"
    meaning = meaning_of(labels)
    if meaning == LabelMeaning.INSTANCES:
        return found + (
            "Nearly every value is one connected object, as in an instance map: pass --instances. If the values are "
            "classes, pass --class"
        )
    classes = "f they are classes, pass --class; if objects, --instances"
    if highest <= FEW_LABELS:
        return f"{found}I{classes}"
    saved = "save it as PNG or " if path.suffix.lower() in _LOSSY else ""
    grey = f"f they are intermediate grey values of JPEG or smooth resizing, {saved}pass {_option(highest)}"
    first, second = (grey, classes) if meaning == LabelMeaning.GREY else (classes, grey)
    return f"{found}I{first}; i{second}"


def _option(highest: float) -> str:
    return f"--mask-threshold {suggested_threshold(highest):g}"


def suggested_threshold(highest: float) -> float:
    """Return a threshold midway between 0 and the highest value of a mask, in few digits: 127 for 255, 0.5 for 1."""
    if highest >= 2 and float(highest).is_integer():
        return floor(highest / 2)
    return 0.5 if 0.75 <= highest <= 1.25 else float(f"{highest / 2:.2g}")


def note_on_instances(labels: Array) -> str | None:
    """Return a warning if the numbers of an instance map (H, W) seem to be classes: each has many components."""
    numbers = np.setdiff1d(labels, [0])
    if not 0 < len(numbers) <= FEW_LABELS:
        return None
    if sum(count_parts(labels, one) for one in numbers) < PARTS_OF_A_CLASS * len(numbers):
        return None
    return (
        "each of its numbers has many separate parts, as in a label map or a plain mask; expected a number of its own "
        "for each object. If the numbers are classes, pass --class; if there is only one, omit --instances"
    )


def instances_of(labels: Array) -> Iterator[BoolArray]:
    """Yield the mask of each object of an instance map (H, W), in the order of the labels."""
    for label in np.unique(labels):
        if label != 0:
            yield labels == label
