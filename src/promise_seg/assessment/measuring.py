"""Compute all measures of one image, with distances in pixels or millimetres."""

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
    """The tolerance of the surface Dice: the maximum distance between outlines. Its unit is that of all distances."""

    value: float = 2.0
    unit: Unit = Unit.PIXELS

    def __str__(self) -> str:
        return f"{np.format_float_positional(self.value, trim='-')}{self.unit}"


DEFAULT_TOLERANCE = Tolerance()


def parse_tolerance(text: str) -> Tolerance:
    """Parse the value of ``--tolerance``: ``2px`` or ``1.5mm``; a number without a unit is in pixels.

    Raises:
        SettingsError: if it is not a tolerance above 0.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(px|mm)?\s*", str(text))
    if match is None or not 0 < float(match[1]) < math.inf:
        raise SettingsError(f"--tolerance {text}: expected a number above 0 with px or mm, such as 2px or 1.5mm")
    return Tolerance(float(match[1]), Unit(match[2] or "px"))


def spacing_for(row: CheckedRow, unit: Unit) -> tuple[float, float]:
    """Return the distance between rows and between columns of an image, in the given unit.

    Raises:
        SettingsError: if the unit is millimetres, and the pixel size of the image is not known.
    """
    if unit == Unit.PIXELS:
        return 1.0, 1.0
    if row.spacing is None:
        raise SettingsError(f"{row.row.where}: {row.name} has no known pixel size; give --tolerance in px")
    return row.spacing


class Measured(NamedTuple):
    """The measures of one image by name: ``values``, and ``curves`` (256,) for measures at a threshold that is chosen
    for all images together."""

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
    """Return all measures of one image by name.

    Args:
        mask_probs: the probabilities, (H, W), in the image frame.
        predicted, truth: the masks, (H, W), in the image frame.
        row: the row of the image, which holds its pixel size.
        tolerance: the tolerance of the surface Dice; its unit is that of all distances.
        objects: the objects of an instance map; ``None`` for any other mask.

    Raises:
        SettingsError: if the tolerance is in millimetres, and the pixel size of the image is not known.
    """
    spacing = spacing_for(row, tolerance.unit)
    pair = MaskPair(mask_probs, predicted, truth, spacing, tolerance.value, objects)
    return Measured(values_of(pair), curves_of(pair))
