"""Labels as NIfTI, voxel for voxel where the image lies. Written by ``nibabel``."""

from pathlib import Path

import nibabel as nib
import numpy as np

from promise_seg.errors import ImageError
from promise_seg.files import write_whole
from promise_seg.images.formats.nifti import NiftiVolume
from promise_seg.prediction.labelling import Labelled


def write_nifti(labelled: Labelled, path: Path) -> None:
    """Labels in the shape, order and affine of a NIfTI input; of others as columns, rows and slices.

    Raises:
        ImageError: if the image does not say where it lies.
    """
    source, frame = labelled.source, labelled.source.frame
    if frame is None:
        raise ImageError(
            f"{source.path}: does not say where its pixels lie, which a NIfTI file needs. Choose another --format"
        )
    labels = frame.from_slices(labelled.stack)
    labels = labels.astype(np.uint8 if max(labelled.names) < 256 else np.uint16)
    if isinstance(source, NiftiVolume):
        image = source.image_class(labels.reshape(source.file_shape), frame.affine, _plain_header(source))
        image.set_data_dtype(labels.dtype)
    else:
        affine = frame.affine
        if not source.columns_first:
            labels, affine = labels.T, affine[:, [2, 1, 0, 3]]
        image = nib.Nifti1Image(np.ascontiguousarray(labels), affine)
        image.header.set_xyzt_units("mm")
    write_whole(path, image.to_filename)


def _plain_header(source: NiftiVolume) -> nib.Nifti1Header:
    """The input's header without what described its values."""
    header = source.header.copy()
    header["cal_min"] = header["cal_max"] = 0
    header.set_slope_inter(1, 0)
    header["descrip"] = b"promise-seg"
    return header
