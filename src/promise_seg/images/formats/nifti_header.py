"""Repair faults in NIfTI headers that other programs tolerate, with a note on each.

Source of the rules: ``nifti1_io.c`` (in ITK and 3D Slicer), https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

from collections.abc import Iterator

import nibabel as nib
import numpy as np

from promise_seg.arrays import Float64Array
from promise_seg.images.formats.orientation import FARTHEST_MM, is_place, is_size

_MM_PER_UNIT = {1: 1e3, 3: 1e-3}
"""Millimetres per metre and micrometre, by their codes in ``xyzt_units``; other codes are taken for millimetres."""
_LARGEST_PLAUSIBLE_MM = 100.0
_SPACE_UNITS = 0b111


def mend_scaling(header: nib.Nifti1Header) -> Iterator[str]:
    """Replace an intercept that is NaN or infinite by 0, in place, and yield a note; without a slope it is unused."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if np.isinf(slope):
        yield f"its scl_slope ({slope:g}) is left out, and values are taken as stored"
    elif slope and np.isfinite(slope) and not np.isfinite(intercept):
        header["scl_inter"] = 0
        yield f"its scl_inter ({intercept:g}) is read as 0"


def mend_place(header: nib.Nifti1Header) -> tuple[bool, list[str]]:
    """Remove invalid transforms and voxel sizes in place, so that ``get_best_affine`` is valid.

    A transform is invalid if it contains NaN or infinity, or spans no volume. The sform takes precedence over the
    qform, and the qform over the voxel sizes alone.

    Returns:
        whether the voxel sizes are known, and notes.
    """
    notes = [*_mend_sform(header)]
    has_sform = int(header["sform_code"]) != 0
    known, of_sizes = _mend_sizes(header)
    of_qform = [*_mend_qform(header)]
    if has_sform:  # other faults do not matter, because only the sform is used
        return True, notes
    return known, notes + of_sizes + of_qform


def mm_per_unit(header: nib.Nifti1Header, sizes: tuple[float, float]) -> tuple[float, str | None]:
    """Return the millimetres per unit of a header, and a note if its units are implausible."""
    factor = _MM_PER_UNIT.get(int(header["xyzt_units"]) & _SPACE_UNITS, 1.0)
    if factor > 1 and max(sizes) * factor > _LARGEST_PLAUSIBLE_MM:
        return 1.0, "its xyzt_units are metres, which would make its voxels very large, and are read as millimetres"
    return factor, None


def _mend_sform(header: nib.Nifti1Header) -> Iterator[str]:
    if int(header["sform_code"]) == 0:
        return
    rows = [np.asarray(header[name], np.float64) for name in ("srow_x", "srow_y", "srow_z")]
    affine = _with_normal(np.vstack([*rows, [0, 0, 0, 1]]), header.get_data_shape())
    if is_place(affine):
        header["srow_x"], header["srow_y"], header["srow_z"] = affine[:3]
        return
    header["sform_code"] = 0
    for name in ("srow_x", "srow_y", "srow_z"):
        header[name] = 0
    shown = "; ".join(" ".join(f"{value:g}" for value in row) for row in rows)
    instead = "its qform is used" if int(header["qform_code"]) != 0 else "only the voxel sizes are used"
    yield f"its sform ({shown}) does not define a position in space, and {instead}"


def _with_normal(affine: Float64Array, shape: tuple[int, ...]) -> Float64Array:
    """Give the third axis of a single slice a direction, if it has none."""
    if (len(shape) < 3 or shape[2] == 1) and not affine[:3, 2].any():
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        length = float(np.linalg.norm(normal))
        affine[:3, 2] = normal / length if np.isfinite(length) and length > 0 else 0
    return affine


def _mend_sizes(header: nib.Nifti1Header) -> tuple[bool, list[str]]:
    """Make the voxel sizes positive numbers, in place; return whether all are known, and notes."""
    pixdim, shape = header["pixdim"], header.get_data_shape()
    stated = " x ".join(f"{float(value):g}" for value in pixdim[1:4])
    unknown = negative = False
    for axis in range(3):
        size = float(pixdim[axis + 1])
        if is_size(abs(size)):
            negative = negative or size < 0
            pixdim[axis + 1] = abs(size)
        else:
            unknown = unknown or (axis < len(shape) and shape[axis] > 1)
            pixdim[axis + 1] = 1
    for at in range(4, 8):
        if not np.isfinite(pixdim[at]) or pixdim[at] < 0:
            pixdim[at] = 1
    if unknown:
        return False, [f"its pixdim ({stated}) are not the sizes of voxels, so that its spacing is unknown"]
    return True, [f"its pixdim ({stated}) are read without their sign"] if negative else []


def _mend_qform(header: nib.Nifti1Header) -> Iterator[str]:
    factor = float(header["pixdim"][0])
    header["pixdim"][0] = -1 if factor < 0 and np.isfinite(factor) else 1
    names = ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
    values = np.array([float(header[name]) for name in names])
    if int(header["qform_code"]) == 0:
        return
    if factor not in (-1, 0, 1):
        yield f"its pixdim[0] ({factor:g}) is read as {float(header['pixdim'][0]):g}"
    shown = " ".join(f"{value:g}" for value in values)
    length = float(np.linalg.norm(values[:3]))
    if not np.isfinite(values).all() or np.abs(values[3:]).max() > FARTHEST_MM or length > FARTHEST_MM:
        header["qform_code"] = 0
        for name in names:
            header[name] = 0
        yield f"its qform ({shown}) does not define a position in space, and only the voxel sizes are used"
    elif length > 1:
        for name, value in zip(names[:3], values[:3] / length, strict=True):
            header[name] = value
        if length > 1 + 1e-6:
            yield f"its qform ({shown}) has a quaternion longer than 1, which is read as one of length 1"
