"""Merge several NIfTI masks of one volume into one NIfTI file. Read and written by ``nibabel``."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.errors import ImageError, MaskError, PromiseError, SizeError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.masks import refuse_nan
from promise_seg.storage.files import write_whole

_MARK = b"promise-seg "
_KEY_LENGTH = 64
_SAME_PLACE_MM = 1e-3
_LONGEST_SIDE = 2**15 - 1


def is_merged_volume(path: Path, key: str) -> bool:
    """Whether a merged volume with this key exists.

    Raises:
        PromiseError: if the file exists, but is not a merged mask.
    """
    if not path.exists():
        return False
    try:
        mark = bytes(np.asarray(nibabel.Nifti1Image.from_filename(path).header["descrip"]).item())
    except Exception:  # nibabel raises whatever it runs into
        mark = b""
    if not mark.startswith(_MARK):
        raise PromiseError(
            f"{path}: already exists, and is not a merged mask of promise data make. Move it away, or choose another -o"
        )
    return mark == _MARK + key[:_KEY_LENGTH].encode()


def merge_volumes(pair: ImagePair, numbers: Sequence[int], path: Path, key: str) -> bool:
    """Merge the masks of a volume into a label map of their numbers, later masks on top; return whether any overlap.

    Raises:
        ImageError: if a mask is unreadable, differs from the first in size or affine, is too large for NIfTI-1, or is
            not a mask of one object.
        PromiseError: if the file cannot be written.
    """
    merged, overlaps = None, False
    for number, mask in zip(numbers, pair.objects, strict=True):
        _ = open_source(mask).array  # for the size limits and error messages of the reader
        try:
            image: Any = nibabel.load(mask)
            values = np.asanyarray(image.dataobj)
        except Exception as error:  # nibabel raises whatever it runs into
            raise ImageError(f"{mask}: damaged or truncated. Export it again from its source") from error
        if merged is None:
            first, merged = image, np.zeros(values.shape, np.uint16)
        elif values.shape != merged.shape or not np.allclose(image.affine, first.affine, atol=_SAME_PLACE_MM):
            raise SizeError(
                f"{mask}: differs from {pair.objects[0]} in size or position; expected the same voxel grid. Resample "
                f"it to that of {pair.objects[0].name}"
            )
        if max(values.shape) > _LONGEST_SIDE:
            raise ImageError(f"{mask}: has a side of {max(values.shape)} voxels; NIfTI-1 holds {_LONGEST_SIDE} at most")
        refuse_nan(values, mask)
        inside = values != 0
        if len(np.unique(values[inside])) > 1:
            raise MaskError(f"{mask}: has several values besides 0; expected a mask of one object")
        overlaps = overlaps or bool(np.setdiff1d(merged[inside], [0, number]).size)
        merged[inside] = number
    header = _first_version(first.header)
    header.set_data_dtype(np.uint16)
    header["descrip"] = _MARK + key[:_KEY_LENGTH].encode()
    header["scl_slope"], header["scl_inter"] = np.nan, np.nan
    volume = nibabel.Nifti1Image(merged, first.affine, header)
    write_whole(path, lambda p: p.write_bytes(gzip.compress(volume.to_bytes(), mtime=0)))
    return overlaps


def _first_version(header: nibabel.Nifti1Header) -> nibabel.Nifti1Header:
    """Return a NIfTI-1 or NIfTI-2 header as NIfTI-1; both versions have the fields that define the affine."""
    if not isinstance(header, nibabel.Nifti2Header):
        return header.copy()
    found = nibabel.Nifti1Header()
    for name in set(found) & set(header) - {"sizeof_hdr", "magic", "vox_offset", "dim"}:
        found[name] = header[name]
    return found
