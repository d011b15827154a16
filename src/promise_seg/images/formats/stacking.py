"""The number of slices in a volume and the distance between them, for distances in space."""

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
"""The largest difference between the direction cosines of parallel slices, as in ``DicomSeries``."""
_MOST_TILT_DEGREES = 0.5
"""Axes of a volume within this angle of perpendicular count as upright: distances are then accurate to about 1 %."""


class Stacking(NamedTuple):
    """The arrangement of the slices of a volume in space.

    Args:
        slices: number of slices.
        spacing: distance between slices in mm; ``None`` if no single distance describes them.
        lacking: reason why there is no spacing, to follow the name of the volume; empty if there is one.
        is_in_time: whether the slices are the frames of a video, consecutive in time.
    """

    slices: int
    spacing: float | None
    lacking: str = ""
    is_in_time: bool = False


def stacking_of(source: Source) -> Stacking | None:
    """Return the stacking of the slices of an opened volume; ``None`` for an image."""
    if not source.is_volume:
        return None
    if source.frame is not None:
        return _stacking(len(source), source.frame.affine, source.frame.spacing[0] * source.mm_per_unit)
    if source.uneven is not None:
        return Stacking(len(source), None, source.uneven.words)
    if source.slice_spacing is None:
        return Stacking(len(source), None, "it does not state the distance between its slices", source.is_in_time)
    return Stacking(len(source), source.slice_spacing)


class SlicePlace(NamedTuple):
    """The position of a single image that is a slice of a series.

    Args:
        series: identifier of its series.
        position: position of its first pixel, in mm, LPS+.
        direction: direction of its rows and of its columns, 3 cosines each, LPS+.
        spacing: distance between its rows and between its columns, in mm.
    """

    series: str
    position: tuple[float, ...]
    direction: tuple[float, ...]
    spacing: tuple[float, ...]


def place_of(source: Source) -> SlicePlace | None:
    """Return the position of an opened image; ``None`` if its position or its series is unknown."""
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
    """Return the spatial order of images of one series, and their stacking.

    Args:
        places: positions of the images, at least two.
        shape: shape of each image, (H, W).
        names: names of their files, for messages.

    Returns:
        ``None`` if the images do not form a stack: directions or spacings differ, or positions coincide.
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
    """Return the stacking of slices, without their spacing if the axes of their affine are tilted."""
    axes = affine[:3, :3].T
    if not _have_lengths(axes):
        return Stacking(slices, None, "its voxel size is not known")
    if are_upright(axes):
        return Stacking(slices, spacing)
    return Stacking(slices, None, f"its slices are tilted by {_tilt_degrees(axes):.1f} degrees")


def are_upright(axes: Float64Array) -> bool:
    """Whether axes (axes, coordinates) are perpendicular, so that distances follow from spacings."""
    return _tilt_degrees(axes) <= _MOST_TILT_DEGREES


def _have_lengths(axes: Float64Array) -> bool:
    lengths = np.linalg.norm(axes, axis=1)
    return bool(np.isfinite(lengths).all() and lengths.min() > 0)


def _tilt_degrees(axes: Float64Array) -> float:
    """Return the largest deviation of axes from right angles, in degrees."""
    directions = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    between = np.abs(directions @ directions.T)
    return float(np.degrees(np.arcsin(min(1.0, float((between - np.diag(np.diag(between))).max())))))
