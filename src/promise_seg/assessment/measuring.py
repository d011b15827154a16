"""All measures of one image, in the unit that a user wants."""

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import BoolArray, Float32Array, Float64Array
from promise_seg.assessment.mask_pair import InstanceMaps, MaskPair, Objects
from promise_seg.assessment.measures import curves_of, values_of
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import SettingsError


class Unit(StrEnum):
    """The unit of distances."""

    PIXELS = "px"
    MILLIMETRES = "mm"


@dataclass(frozen=True)
class Tolerance:
    """How far outlines may be apart for the surface Dice; its unit is that of all distances."""

    value: float = 2.0
    unit: Unit = Unit.PIXELS

    def __str__(self) -> str:
        return f"{np.format_float_positional(self.value, trim='-')}{self.unit}"


DEFAULT_TOLERANCE = Tolerance()


def parse_tolerance(text: str) -> Tolerance:
    """Return what a user means by ``--tolerance``: ``2px``, ``1.5mm``; a number alone is in pixels.

    Raises:
        SettingsError: if it is not a tolerance.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(px|mm)?\s*", str(text))
    if match is None or not 0 < float(match[1]) < math.inf:
        raise SettingsError(f"--tolerance {text}: expected a number above 0 with px or mm, such as 2px or 1.5mm")
    return Tolerance(float(match[1]), Unit(match[2] or "px"))


def spacing_for(row: CheckedRow, unit: Unit) -> tuple[float, float]:
    """Return the distance between rows and between columns of an image, in a unit.

    Raises:
        SettingsError: if millimetres are wanted of an image that does not say how large its pixels are.
    """
    if unit == Unit.PIXELS:
        return 1.0, 1.0
    if row.spacing is None:
        raise SettingsError(
            f"{row.row.where}: {row.name} does not say how large its pixels are; give --tolerance in px"
        )
    return row.spacing


class Measured(NamedTuple):
    """The measures of one image by their names: ``values``, and ``curves`` (256,) of those at a threshold that is
    chosen for all images together."""

    values: dict[str, float]
    curves: dict[str, Float64Array]


def measure(
    mask_probs: Float32Array,
    predicted: BoolArray,
    truth: BoolArray,
    row: CheckedRow,
    tolerance: Tolerance,
    objects: Objects | InstanceMaps | None = None,
) -> Measured:
    """Return all measures of one image by their names.

    Args:
        mask_probs: probabilities, (H, W), in the image frame.
        predicted, truth: masks, (H, W).
        row: of the image, which says how large its pixels are.
        tolerance: of the surface Dice; its unit is that of all distances.
        objects: of an instance map.

    Raises:
        SettingsError: if distances are to be in millimetres, and the image does not say how large its pixels are.
    """
    spacing = spacing_for(row, tolerance.unit)
    pair = MaskPair(mask_probs, predicted, truth, spacing, tolerance.value, objects)
    return Measured(values_of(pair), curves_of(pair))
