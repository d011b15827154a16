"""The place of a volume's slices in space, as far as it is known."""

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
    """The slices of a volume that there are.

    Args:
        numbers: the numbers of the slices in the volume, in ascending order; there may be gaps.
        spacing: the distances between them; ``None`` if they are not known.
        lacking: why they are not, in words that follow the name of the volume.
    """

    numbers: tuple[int, ...]
    spacing: Spacing | None = None
    lacking: str = ""

    @staticmethod
    def of(source: Source, given: Sequence[float] | None = None) -> "Stack":
        """Return the stack of an opened volume; ``given`` distances take the place of those that the file states."""
        numbers = tuple(range(len(source)))
        if given is not None:
            return Stack.given(len(source), given)
        stacking = stacking_of(source)
        if stacking is None or stacking.spacing is None:
            lacking = "it does not say how far its slices are apart" if stacking is None else stacking.lacking
            return Stack(numbers, None, lacking)
        if source.spacing is None:
            return Stack(numbers, None, "its pixel size is not known")
        found = usable((stacking.spacing, *source.spacing))
        return Stack(numbers, found, "" if found else "its voxel size is not known")

    @staticmethod
    def given(count: int, spacing: Sequence[float] | None) -> "Stack":
        """Return the stack of so many slices at distances that a user gives, or does not."""
        if spacing is None:
            return Stack(tuple(range(count)), None, "it does not say how far its slices are apart")
        found = usable(spacing)
        lacking = "" if found else "one of its distances is zero, negative or not a number"
        return Stack(tuple(range(count)), found, lacking)

    def step_mm(self, usual_mm: float) -> float:
        """Return the distance between neighbouring slices; ``usual_mm`` if it is not known."""
        return usual_mm if self.spacing is None else self.spacing[0]

    def heights_mm(self, usual_mm: float) -> Float64Array:
        """Return the place of each slice along the stack, (N,)."""
        return np.asarray(self.numbers, np.float64) * self.step_mm(usual_mm)

    @property
    def voxel_mm3(self) -> float | None:
        """The volume of a voxel; ``None`` if it is not known."""
        return None if self.spacing is None else float(np.prod(self.spacing))


def usable(spacing: Sequence[float]) -> Spacing | None:
    """Return three distances; ``None`` if one of them is zero, negative or not a number."""
    step, row, column = (float(value) for value in spacing)
    fine = all(np.isfinite(value) and value > 0 for value in (step, row, column))
    return (step, row, column) if fine else None
