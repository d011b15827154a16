"""The position of DICOM images in the patient, and the size of their pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Float64Array
from promise_seg.images.formats.orientation import is_place
from promise_seg.images.formats.uneven import UnevenStack


def spacing_of(dataset: Dataset) -> tuple[float, float] | None:
    """Return the distance in mm between rows and between columns, if the file states it."""
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(name)
        if value is not None and len(value) == 2:
            rows, columns = float(value[0]), float(value[1])
            return (rows, columns) if np.isfinite([rows, columns]).all() and min(rows, columns) > 0 else None
    return None


def stack_affine(positions: list[Any], orientation: Any, spacing: Any, thickness: float = 1.0) -> Float64Array | None:
    """Return the affine (4, 4) from (slice, row, column) to mm in RAS+; ``None`` if slices are not evenly stacked.

    It is also ``None`` if a number is not finite. ``thickness`` is the step from one slice to the next, in mm, for a
    single slice.

    ``highdicom.spatial`` requires slices that are stacked at right angles and evenly to 1 %. It refuses tilted
    gantries, direction cosines of two decimals, and positions that vary by up to 5 %, all of which occur in hospitals.

    Source: DICOM PS3.3, C.7.6.2.1.1, which is in LPS+.
    """
    corners = _vectors(positions)
    across, down = (np.array([float(v) for v in orientation[i : i + 3]]) for i in (0, 3))
    step = (corners[-1] - corners[0]) / (len(corners) - 1) if len(corners) > 1 else np.cross(across, down) * thickness
    even = np.abs(corners - corners[0] - np.arange(len(corners))[:, None] * step).max() if len(corners) > 1 else 0.0
    length = np.linalg.norm(step)
    if not (np.isfinite(corners).all() and np.isfinite(step).all()) or length == 0 or even > 0.05 * length:
        return None
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = step, down * float(spacing[0]), across * float(spacing[1])
    affine[:3, 3] = corners[0]
    if not is_place(affine):
        return None
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def uneven_stack(
    path: Path, shape: tuple[int, int], positions: list[Any], orientation: Any, spacing: Any, names: Sequence[str]
) -> UnevenStack | None:
    """Return the parallel slices (H, W) that :func:`stack_affine` refuses; ``None`` if they do not form a stack."""
    first = stack_affine(positions[:1], orientation, spacing)
    corners = _vectors(positions)
    if first is None or not np.isfinite(corners).all():
        return None
    steps = np.diff(corners, axis=0)
    normal = np.cross(*np.array([float(v) for v in orientation], np.float64).reshape(2, 3))
    if len(corners) < 3 or not (np.abs(steps @ normal) > 0).all():
        return None
    return UnevenStack.of(path, shape, first, corners * (-1.0, -1.0, 1.0), names)


def _vectors(positions: list[Any]) -> Float64Array:
    return np.array([[float(v) for v in p] for p in positions], np.float64)
