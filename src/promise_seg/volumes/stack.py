"""The positions of a volume's slices and the spacing of its voxels, as far as they are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promise_seg.arrays import Float64Array
from promise_seg.images.formats.source import Source
from promise_seg.images.formats.stacking import stacking_of

Spacing = tuple[float, float, float]
"""The distances between slices, rows and columns, in mm."""


@dataclass(frozen=True)
class Stack:
    """The numbers and spacing of the available slices of a volume.

    Args:
        numbers: numbers of the slices in the volume, in ascending order, possibly with gaps.
        spacing: distances between slices, rows and columns in mm; ``None`` if they are unknown.
        lacking: why the spacing is unknown, worded to follow the name of the volume.
    """

    numbers: tuple[int, ...]
    spacing: Spacing | None = None
    lacking: str = ""

    @staticmethod
    def of(source: Source, given: Sequence[float] | None = None) -> "Stack":
        """Return the stack of an opened volume; a ``given`` spacing overrides that of the file."""
        numbers = tuple(range(len(source)))
        if given is not None:
            return Stack.given(len(source), given)
        stacking = stacking_of(source)
        if stacking is None or stacking.spacing is None:
            lacking = "it does not state the distance between its slices" if stacking is None else stacking.lacking
            return Stack(numbers, None, lacking)
        if source.spacing is None:
            return Stack(numbers, None, "its pixel size is not known")
        found = usable((stacking.spacing, *source.spacing))
        return Stack(numbers, found, "" if found else "its voxel size is not known")

    @staticmethod
    def given(count: int, spacing: Sequence[float] | None) -> "Stack":
        """Return a stack of ``count`` slices with the spacing that a user gave, if any."""
        if spacing is None:
            return Stack(tuple(range(count)), None, "it does not state the distance between its slices")
        found = usable(spacing)
        lacking = "" if found else "its spacing has a zero, negative or non-finite value"
        return Stack(tuple(range(count)), found, lacking)

    def step_mm(self, usual_mm: float) -> float:
        """Return the distance between neighbouring slices in mm; ``usual_mm`` if it is unknown."""
        return usual_mm if self.spacing is None else self.spacing[0]

    def heights_mm(self, usual_mm: float) -> Float64Array:
        """Return the position (N,) of each slice along the stack in mm."""
        return np.asarray(self.numbers, np.float64) * self.step_mm(usual_mm)

    @property
    def voxel_mm3(self) -> float | None:
        """The volume of a voxel in mm³; ``None`` if it is unknown."""
        return None if self.spacing is None else float(np.prod(self.spacing))


def usable(spacing: Sequence[float]) -> Spacing | None:
    """Return the three distances; ``None`` if one of them is zero, negative or not finite."""
    step, row, column = (float(value) for value in spacing)
    fine = all(np.isfinite(value) and value > 0 for value in (step, row, column))
    return (step, row, column) if fine else None
