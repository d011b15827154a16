"""Images and masks, whatever their files are, to the arrays that everything else works with."""

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promise_seg.errors import ImageError
from promise_seg.hashing import files_sha256
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.segmentation import is_segmentation, read_segmentation
from promise_seg.images.formats.source import Source
from promise_seg.images.masks import MaskRule, mask_of
from promise_seg.images.reading import DEFAULT_READING, Reading

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
        path: a file of any format, or a DICOM segmentation.
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
    labels = source.as_stored(index) if image is None else _beside(source, image, index)
    if labels.ndim != 2:
        raise ImageError(f"{path}: a mask in colour; expected one channel of labels. Save it in grey or with a palette")
    return _turned_round(labels, path) if source.is_inverted else labels


def _turned_round(labels: npt.NDArray, path: Path) -> npt.NDArray:
    """A mask that is stored with 0 for white, which is what is meant."""
    if len(np.unique(labels)) > 2:
        raise ImageError(
            f"{path}: a mask stored with 0 for white (MINISWHITE or MONOCHROME1) and more than two values, whose "
            "numbers mean nothing. Save it with 0 for background"
        )
    return (labels == 0).astype(np.uint8)


def _beside(mask: Source, image: Source, index: int) -> npt.NDArray:
    """The slice of a mask that belongs to a slice of its image: by where they lie in space, or by their number.

    Raises:
        ImageError: if it cannot be told which slices correspond.
    """
    if len(image) == 1 and len(mask) == 1 and not (image.is_oriented or mask.is_oriented):
        return mask.as_stored(0)
    if mask.frame is not None and image.frame is not None:
        return image.frame.to_slices(image.frame.like_this(mask.frame, mask.array))[index]
    if image.is_cut or image.slices_have_places or mask.slices_have_places:
        lacking = mask if mask.frame is None else image
        raise ImageError(
            f"{lacking.path}: does not say where its slices lie, so that it cannot be told which belong to those of "
            f"{(image if lacking is mask else mask).path}. Save it as NIfTI, or as a DICOM segmentation"
        )
    if len(mask) != len(image):
        raise ImageError(
            f"{mask.path} has {len(mask)} slice(s) but its image {image.path} has {len(image)}. Both must have as many"
        )
    return mask.as_stored(index)


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
    files = source.slice_files(index, reading.window.scope)
    if len(files) > 1:
        facts = facts | {"slice": index}  # all of a series, where they decide together how each of them looks
    whole = files_sha256(files)
    return hashlib.sha256(json.dumps([whole, facts], sort_keys=True).encode()).hexdigest() if facts else whole
