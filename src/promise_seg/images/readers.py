"""Read images and masks of any format as arrays."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.segmentation import is_segmentation, read_segmentation
from promise_seg.images.formats.source import Source, finite_range
from promise_seg.images.masks import without_rounding
from promise_seg.images.reading import DEFAULT_READING, Reading
from promise_seg.storage.hashing import files_sha256
from promise_seg.storage.remote_paths import as_path


def read_image(path: str | Path, reading: Reading | None = None, index: int = 0) -> Uint8Array:
    """Read one slice as RGB: (H, W, 3) uint8, in the image frame; a single image has one slice.

    Grey is repeated to three channels, alpha is dropped, and an EXIF orientation is applied.

    Args:
        path: a file, or the folder of a DICOM series.
        reading: how to read it.
        index: the number of the slice, from 0.

    Raises:
        ImageError: if the file is missing, damaged, too large or not an image, or has no such slice.
    """
    reading = reading or DEFAULT_READING
    source = reading.open(path)
    if not 0 <= index < len(source):
        raise ImageError(f"{path}: has no slice {index}; it has {len(source)}, counted from 0")
    return reading.rgb(source, index)


def read_labels(path: str | Path, image: Source | None = None, index: int = 0) -> Array:
    """Return the stored values of one slice of a mask file, (H, W), cut along the same axis as its image.

    Args:
        path: a file of any format, or a DICOM segmentation.
        image: the image that the mask belongs to; needed for volumes and segmentations.
        index: the number of the slice.

    Raises:
        ImageError: if the file is missing, damaged or in colour, or does not fit its image.
    """
    return labels_of(mask_source(path), path, image, index)


def labels_of(source: Source | None, path: str | Path, image: Source | None = None, index: int = 0) -> Array:
    """Return the stored values of an open mask file; see :func:`mask_source` and :func:`read_labels`."""
    if source is None:
        if image is None:
            raise ImageError(f"{path}: a DICOM segmentation can only be read with its image")
        return read_segmentation(as_path(path), image, index)
    labels = source.as_stored(index) if image is None else _beside(source, image, index)
    if labels.ndim != 2:
        raise ImageError(
            f"{path}: the mask is in colour; expected one channel of labels. Save it as greyscale or with a palette; "
            "if each colour is a class, convert the masks with promise data import --colours"
        )
    return without_rounding(labels, source.value_step)


def mask_source(path: str | Path) -> Source | None:
    """Open a mask file; ``None`` if it is a DICOM segmentation, which cannot be read without its image.

    Raises:
        ImageError: if the file is missing, damaged, too large or of an unknown format.
    """
    return None if is_segmentation(as_path(path)) else open_source(path)


def highest_label(path: str | Path) -> float:
    """Return the highest value of all slices of a mask file; NaN if it has none, or is a DICOM segmentation.

    Raises:
        ImageError: if the file is missing or damaged.
    """
    source = mask_source(path)
    return float("nan") if source is None else finite_range(source.array)[1]


def _beside(mask: Source, image: Source, index: int) -> Array:
    """Return the slice of a mask that belongs to a slice of its image, matched by position or by number.

    Raises:
        ImageError: if the slices cannot be matched.
    """
    if len(image) == 1 and len(mask) == 1 and not (image.is_oriented or mask.is_oriented):
        return mask.as_stored(0)
    if mask.frame is not None and image.frame is not None:
        frame = mask.frame.in_units_of(image.frame, mask.mm_per_unit / image.mm_per_unit)
        return image.frame.to_slices(image.frame.like_this(frame, mask.array))[index]
    if mask.frame is not None and image.uneven is not None:
        frame = mask.frame.in_units_of(image.uneven.frame, mask.mm_per_unit / image.mm_per_unit)
        return image.uneven.labels_of(frame, mask.array)[index]
    if mask.uneven is not None and image.uneven is not None and image.uneven.lies_like(mask.uneven):
        return mask.as_stored(index)
    if image.is_cut or image.slices_have_places or mask.slices_have_places:
        lacking = mask if mask.frame is None else image
        why = "its slices have no position" if lacking.uneven is None else lacking.uneven.words
        raise ImageError(
            f"{lacking.path}: {why}, so they cannot be matched with those of "
            f"{(image if lacking is mask else mask).path}. Save it as NIfTI, or as a DICOM segmentation"
        )
    if len(mask) != len(image):
        raise ImageError(
            f"{mask.path} has {len(mask)} slice(s) but its image {image.path} has {len(image)}. Both must have the "
            "same number"
        )
    return mask.as_stored(index)


class PairingByNumber(NamedTuple):
    """The reason why slices are paired by their number alone, worded to follow the path of a mask.

    ``better`` names the format to save in instead.
    """

    why: str
    better: str


def pairing_by_number(mask: Source, image: Source) -> PairingByNumber | None:
    """Return the reason why the slices of a mask and its image are paired by their number alone.

    ``None`` if they are paired by their positions, or if there is only one slice.

    Raises:
        ImageError: if the slices cannot be matched.
    """
    if len(image) == 1 and len(mask) == 1:
        return None
    if mask.frame is not None and image.uneven is not None:
        frame = mask.frame.in_units_of(image.uneven.frame, mask.mm_per_unit / image.mm_per_unit)
        if image.uneven.is_paired_by_number(frame, mask.array):
            return PairingByNumber(
                "has as many slices as its unevenly stacked image, but states one distance for all of them",
                "the mask as a DICOM segmentation, which names the image of each slice",
            )
        return None
    have_places = any(one.frame is not None or one.uneven is not None for one in (mask, image))
    if have_places:
        return None
    return PairingByNumber(
        "has no slice positions, and neither has its image",
        "images and masks in a format with positions, such as NIfTI",
    )


def content_sha256(source: Source, index: int, reading: Reading) -> str:
    """Return the hash of everything that determines the pixels of a slice.

    If only the bytes of the file matter, as for a single image in its own window, it is their hash. If channels are
    chosen, it is the hash of the hashes of all three inputs, in order.
    """
    inputs = reading.inputs(source)
    if inputs is not None:
        alone = reading.without_channels
        parts = [None if one is None else content_sha256(one, index, alone) for one in inputs]
        return hashlib.sha256(json.dumps({"channels": parts}).encode()).hexdigest()
    facts = source.differs_by(index) | reading.pixel_facts
    if reading.window.has_percentiles:
        facts |= source.percentile_facts
    files = source.slice_files(index, reading.window.scope)
    if len(files) > 1:
        facts = facts | {
            "slice": index
        }  # all files of a series, if together they determine how each of them is displayed
    whole = files_sha256(files)
    return hashlib.sha256(json.dumps([whole, facts], sort_keys=True).encode()).hexdigest() if facts else whole
