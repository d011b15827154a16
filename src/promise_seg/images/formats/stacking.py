"""How the slices of a volume are stacked: how many there are, and how far they are apart, for distances in space."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import Float64Array
from promise_seg.images.formats.dicom_space import stack_affine, uneven_stack
from promise_seg.images.formats.series_parts import SAME_PLACE_MM, heights_mm
from promise_seg.images.formats.source import Source

_SAME_DIRECTION = 0.01
"""The largest difference of direction cosines of parallel slices, as in a series that is a folder."""
_MOST_TILT_DEGREES = 0.5
"""Axes of a volume within this of right angles count as upright: distances are then right to about 1 %."""


class Stacking(NamedTuple):
    """The slices of a volume as a body.

    Args:
        slices: how many it has.
        spacing: the distance between them in mm; ``None`` if no single distance describes them.
        lacking: why there is none, in words that follow the name of the volume; empty if there is one.
        is_in_time: whether they are the frames of a video, which follow one another in time.
    """

    slices: int
    spacing: float | None
    lacking: str = ""
    is_in_time: bool = False


def stacking_of(source: Source) -> Stacking | None:
    """Return how the slices of an opened volume are stacked; ``None`` for an image."""
    if not source.is_volume:
        return None
    if source.frame is not None:
        return _stacking(len(source), source.frame.affine, source.frame.spacing[0] * source.mm_per_unit)
    if source.uneven is not None:
        return Stacking(len(source), None, source.uneven.words)
    if source.slice_spacing is None:
        return Stacking(len(source), None, "it does not say how far its slices are apart", source.is_in_time)
    return Stacking(len(source), source.slice_spacing)


class SlicePlace(NamedTuple):
    """The place of a single image, which may be a slice of a series.

    Args:
        series: the identifier of its series.
        position: of its first pixel, in mm, LPS+.
        direction: of its rows and of its columns, 3 cosines each, LPS+.
        spacing: between its rows and between its columns, in mm.
    """

    series: str
    position: tuple[float, ...]
    direction: tuple[float, ...]
    spacing: tuple[float, ...]


def place_of(source: Source) -> SlicePlace | None:
    """Return where an opened image lies; ``None`` if it does not say that, or to which series it belongs."""
    if source.is_volume or source.frame is None or not source.series:
        return None
    if not _have_lengths(source.frame.affine[:3, :3].T):
        return None
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ source.frame.affine
    down, across = affine[:3, 1], affine[:3, 2]
    lengths = float(np.linalg.norm(down)), float(np.linalg.norm(across))
    direction = (*(across / lengths[1]).tolist(), *(down / lengths[0]).tolist())
    return SlicePlace(source.series, tuple(affine[:3, 3].tolist()), direction, lengths)


def stacking_of_files(
    places: Sequence[SlicePlace], shape: tuple[int, int], names: Sequence[str]
) -> tuple[list[int], Stacking] | None:
    """Return the order in which images of one series lie, and how they are stacked.

    Args:
        places: of the images, at least two.
        shape: of each, (H, W).
        names: of their files, for messages.

    Returns:
        ``None`` if they do not lie beside each other: they differ in direction or pixels, or lie at the same place.
    """
    first = places[0]
    directions, sizes = np.array([one.direction for one in places]), np.array([one.spacing for one in places])
    if np.abs(directions - directions[0]).max() > _SAME_DIRECTION or not np.allclose(sizes, sizes[0], rtol=1e-3):
        return None
    heights = heights_mm(first.direction, [one.position for one in places])
    order = [int(index) for index in np.argsort(heights, kind="stable")]
    if any(abs(heights[other] - heights[one]) < SAME_PLACE_MM for one, other in pairwise(order)):
        return None
    positions = [places[index].position for index in order]
    affine = stack_affine(positions, first.direction, first.spacing)
    if affine is not None:
        return order, _stacking(len(places), affine, float(np.linalg.norm(affine[:3, 0])))
    ordered = [names[index] for index in order]
    uneven = uneven_stack(Path(), shape, positions, first.direction, first.spacing, ordered)
    return order, Stacking(len(places), None, "its slices are not evenly stacked" if uneven is None else uneven.words)


def _stacking(slices: int, affine: Float64Array, spacing: float) -> Stacking:
    """Return how slices are stacked, without their distance if the axes of their affine are tilted."""
    axes = affine[:3, :3].T
    if not _have_lengths(axes):
        return Stacking(slices, None, "its voxels have no size")
    if are_upright(axes):
        return Stacking(slices, spacing)
    return Stacking(slices, None, f"its slices are tilted by {_tilt_degrees(axes):.1f} degrees")


def are_upright(axes: Float64Array) -> bool:
    """Whether the axes of an array (axes, coordinates) are at right angles, so that distances follow from spacings."""
    return _tilt_degrees(axes) <= _MOST_TILT_DEGREES


def _have_lengths(axes: Float64Array) -> bool:
    lengths = np.linalg.norm(axes, axis=1)
    return bool(np.isfinite(lengths).all() and lengths.min() > 0)


def _tilt_degrees(axes: Float64Array) -> float:
    """Return by how much axes are from right angles, at most."""
    directions = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    between = np.abs(directions @ directions.T)
    return float(np.degrees(np.arcsin(min(1.0, float((between - np.diag(np.diag(between))).max())))))
