"""Write labels as NIfTI with the geometry of the image, using ``nibabel``."""

from pathlib import Path

import nibabel as nib
import numpy as np

from promise_seg.arrays import Array, Float64Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom_source import DicomSource
from promise_seg.images.formats.nifti import NiftiVolume
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.outputs.columns_first import affine_columns_first, labels_columns_first
from promise_seg.prediction.outputs.reading_back import stack_beside, write_checked

_ORTHOGONAL = 1e-4
"""Largest scalar product of two directions, or deviation of a length from 1, for which ITK accepts an sform."""
_SCANNER, _ALIGNED = 1, 2
_LONGEST_SIDE = 32767
"""Largest number of voxels along an axis in a NIfTI-1 header."""


def write_nifti(labelled: Labelled, path: Path) -> str | None:
    """Write labels in the shape, axis order and affine of a NIfTI input; for other inputs as columns, rows, slices.

    The sform is the image's affine. ITK rejects an sform whose axes are not orthogonal, such as that of a CT with a
    tilted gantry, and falls back to the qform. The qform is always orthogonal: slices are stacked along their normal,
    as ITK itself reads the DICOM series.

    Returns:
        A note if programs based on ITK show slices more than half a voxel from their position; otherwise ``None``.

    Raises:
        ImageError: if the geometry of the image is unknown, or the written file cannot be read back.
    """
    source, affine = labelled.source, affine_columns_first(labelled)
    if affine is None:
        why = "does not state the position of its pixels, which a NIfTI file needs"
        if source.uneven is not None:
            why = f"{source.uneven.words}, and a NIfTI file can state one distance only"
        raise ImageError(f"{source.path}: {why}. Choose another --format")
    if isinstance(source, NiftiVolume) and source.frame is not None:
        affine = source.frame.affine  # in the units of its header, which is kept
    image = _image(labelled, affine)

    def read(written: Path) -> Array:
        if not _is_read_by_itk(_header_of(written)):
            raise ImageError("ITK would refuse it, as its axes are not orthogonal")
        return stack_beside(written, labelled)

    write_checked(labelled, path, image.to_filename, read, labelled.stack)
    return _note(source.path, image, source.mm_per_unit)


def _image(labelled: Labelled, affine: Float64Array) -> nib.Nifti1Image:
    source, labels = labelled.source, labels_columns_first(labelled)
    if isinstance(source, NiftiVolume):
        image = source.image_class(labels.reshape(source.file_shape), affine, _plain_header(source))
        image.set_data_dtype(labels.dtype)
        if not _is_read_by_itk(image.header):
            image.set_qform(_stacked_straight(affine), _ALIGNED)
        return image
    kind = nib.Nifti1Image if max(labels.shape) <= _LONGEST_SIDE else nib.Nifti2Image
    image = kind(np.ascontiguousarray(labels), affine)
    image.header.set_xyzt_units("mm")
    code = _SCANNER if isinstance(source, DicomSource) else _ALIGNED
    image.set_sform(affine, code)
    image.set_qform(_stacked_straight(affine), code)
    return image


def _note(path: Path, image: nib.Nifti1Image, mm_per_unit: float) -> str | None:
    """Return a note if the two transforms of a file differ by more than half a voxel at its last voxel."""
    sform, qform = image.get_sform(coded=True)[0], image.get_qform(coded=True)[0]
    if sform is None or qform is None or _is_orthogonal(sform):
        return None
    last = np.array([*image.shape[:3], 1][:4], np.float64) - [1, 1, 1, 0]
    apart = float(np.linalg.norm(((sform - qform) @ last)[:3]))
    if apart <= float(np.linalg.norm(sform[:3, :3], axis=0).min()) / 2:
        return None
    return (
        f"{path}: its slices are not stacked along their normal, as with a tilted gantry. The sform of the NIfTI file "
        "says where they lie; 3D Slicer, ITK-SNAP and other programs of ITK take its qform instead, which is "
        f"orthogonal, as these programs read the images themselves, and up to {apart * mm_per_unit:.3g} mm away"
    )


def _stacked_straight(affine: Float64Array) -> Float64Array:
    """Return an affine with orthogonal axes: the first axis is kept, the others are made orthogonal to it.

    The lengths of all axes are kept, including the step between slices, as in ITK.
    """
    straight = affine.copy()
    across, down, step = affine[:3, 0], affine[:3, 1], affine[:3, 2]
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    first = across / lengths[0]
    second = down - (down @ first) * first
    second /= np.linalg.norm(second)
    third = np.cross(first, second)
    third *= 1 if third @ step >= 0 else -1
    straight[:3, :3] = np.stack([first, second, third], 1) * lengths
    return straight


def _header_of(path: Path) -> nib.Nifti1Header:
    header: nib.Nifti1Header = nib.load(path).header  # type: ignore[assignment]
    return header


def _is_read_by_itk(header: nib.Nifti1Header) -> bool:
    """Whether the qform is set, which is always orthogonal, or the sform is orthogonal, or neither is set."""
    if int(header["qform_code"]) > 0 or int(header["sform_code"]) == 0:
        return True
    return _is_orthogonal(header.get_sform())


def _is_orthogonal(affine: Float64Array) -> bool:
    axes = affine[:3, :3]
    directions = axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-12)
    return float(np.abs(directions.T @ directions - np.eye(3)).max()) <= _ORTHOGONAL


def _plain_header(source: NiftiVolume) -> nib.Nifti1Header:
    """Return the input's header, without fields that describe the intensities."""
    header = source.header.copy()
    header["cal_min"] = header["cal_max"] = 0
    header.set_slope_inter(1, 0)
    header["descrip"] = b"promise-seg"
    return header
