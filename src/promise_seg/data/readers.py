"""Images and masks, whatever their files are, to the arrays that everything else works with."""

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promise_seg.data.formats.kinds import FileKind
from promise_seg.data.formats.nifti import NiftiVolume
from promise_seg.data.formats.opening import open_source
from promise_seg.data.formats.segmentation import is_segmentation, read_segmentation
from promise_seg.data.formats.series import DicomSeries
from promise_seg.data.formats.source import Source
from promise_seg.data.masks import MaskRule, mask_of
from promise_seg.data.reading import DEFAULT_READING, Reading
from promise_seg.errors import ImageError
from promise_seg.hashing import files_sha256

Uint8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


def read_image(path: str | Path, reading: Reading | None = None, index: int = 0) -> Uint8Array:
    """Read one slice as RGB: (H, W, 3) uint8, in the image frame; a picture is its own only slice.

    Grey is repeated to three channels, alpha dropped, an EXIF orientation applied.

    Args:
        path: a file, or the folder of a DICOM series.
        reading: how to look at it.
        index: of the slice, from 0.

    Raises:
        ImageError: if it is missing, damaged, too large or no image, or has no such slice.
    """
    reading = reading or DEFAULT_READING
    source = open_source(path, reading.axis)
    if not 0 <= index < len(source):
        raise ImageError(f"{path}: has no slice {index}; it has {len(source)}, counted from 0")
    return reading.window.rgb(source, index)


def read_labels(path: str | Path, image: Source | None = None, index: int = 0) -> npt.NDArray:
    """The values of a mask file as they are stored: (H, W), slice ``index`` of it, cut as its image is.

    Args:
        path: a picture, TIFF, NIfTI file, DICOM image or DICOM segmentation.
        image: the image that it belongs to; needed for volumes and segmentations.
        index: of the slice.

    Raises:
        ImageError: if it is missing, damaged or in colour, or does not fit its image.
    """
    path = Path(path)
    if is_segmentation(path):
        if image is None:
            raise ImageError(f"{path}: a DICOM segmentation can only be read with its image")
        return read_segmentation(path, image, index)
    source = open_source(path)
    _check_partners(source, image)
    if isinstance(source, NiftiVolume) and image is not None and image.frame is not None and source.frame is not None:
        labels = image.frame.to_slices(image.frame.like_this(source.frame, source.array))[index]
    else:
        labels = source.as_stored(index)
    if labels.ndim != 2:
        raise ImageError(
            f"{path}: a mask in colour; expected one channel of labels. Save it as a grey or palette image"
        )
    return labels


def _check_partners(mask: Source, image: Source | None) -> None:
    """Refuse pairs whose slices cannot be told to correspond."""
    if image is None:
        return
    volumes = (FileKind.NIFTI, FileKind.DICOM, FileKind.SERIES)
    if mask.kind == FileKind.NIFTI and image.frame is None:
        raise ImageError(
            f"{mask.path}: a NIfTI mask needs an image that says where its slices lie ({', '.join(volumes)}); "
            f"{image.path} does not"
        )
    cut = image.kind == FileKind.NIFTI or (isinstance(image, DicomSeries) and image.is_cut)
    if cut and mask.kind != FileKind.NIFTI:
        raise ImageError(f"{mask.path}: the mask of a volume that is cut along an axis must be NIfTI, as its image is")
    if mask.kind != FileKind.NIFTI and len(mask) != len(image):
        raise ImageError(
            f"{mask.path} has {len(mask)} slice(s) but its image {image.path} has {len(image)}. Both must have as many"
        )


def read_mask(path: str | Path, rule: MaskRule | None = None, image: Source | None = None, index: int = 0) -> BoolArray:
    """Read the mask of one slice: (H, W) bool.

    Raises:
        ImageError: if it is missing, damaged or no mask, or does not fit the rule or its image.
    """
    return mask_of(read_labels(path, image, index), rule or MaskRule(), Path(path))


def content_sha256(source: Source, index: int, reading: Reading) -> str:
    """Hash of all that decides which pixels a slice is read as.

    It is the hash of the file's bytes where nothing but these matters, as for a picture in its own window.
    """
    facts = source.differs_by(index)
    if str(reading.window) != "own":
        facts = facts | {"window": str(reading.window)}
    files = files_sha256(source.slice_files(index))
    return hashlib.sha256(json.dumps([files, facts], sort_keys=True).encode()).hexdigest() if facts else files
