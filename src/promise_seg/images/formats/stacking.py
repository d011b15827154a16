"""How the slices of a volume are stacked: how many there are, and how far they are apart, for distances in space."""

from typing import NamedTuple

import numpy as np

from promise_seg.arrays import Float64Array
from promise_seg.images.formats.source import Source

_MOST_TILT_DEGREES = 0.5
"""Axes of a volume within this of right angles count as upright: distances are then right to about 1 %."""


class Stacking(NamedTuple):
    """The slices of a volume as a body.

    Args:
        slices: how many it has.
        spacing: the distance between them in mm; ``None`` if no single distance describes them.
        lacking: why there is none, in words that follow the name of the volume; empty if there is one.
    """

    slices: int
    spacing: float | None
    lacking: str = ""


def stacking_of(source: Source) -> Stacking | None:
    """Return how the slices of an opened volume are stacked; ``None`` for an image."""
    if not source.is_volume:
        return None
    if source.frame is not None:
        axes = source.frame.affine[:3, :3].T
        if not are_upright(axes):
            return Stacking(len(source), None, f"its slices are tilted by {_tilt_degrees(axes):.1f} degrees")
        return Stacking(len(source), source.frame.spacing[0])
    if source.uneven is not None:
        return Stacking(len(source), None, source.uneven.words)
    if source.slice_spacing is None:
        return Stacking(len(source), None, "it does not say how far its slices are apart")
    return Stacking(len(source), source.slice_spacing)


def are_upright(axes: Float64Array) -> bool:
    """Whether the axes of an array (axes, coordinates) are at right angles, so that distances follow from spacings."""
    return _tilt_degrees(axes) <= _MOST_TILT_DEGREES


def _tilt_degrees(axes: Float64Array) -> float:
    """Return by how much axes are from right angles, at most."""
    directions = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    between = np.abs(directions @ directions.T)
    return float(np.degrees(np.arcsin(min(1.0, float((between - np.diag(np.diag(between))).max())))))
