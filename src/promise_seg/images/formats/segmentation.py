"""DICOM segmentations as masks, read by ``highdicom``."""

import logging
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import highdicom
import numpy as np

from promise_seg.arrays import LabelArray
from promise_seg.errors import ImageError, PromiseError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_faults import damaged
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, check_frames, read_dataset
from promise_seg.images.formats.dicom_planes import macro
from promise_seg.images.formats.dicom_source import DicomSource
from promise_seg.images.formats.kinds import kind_of
from promise_seg.images.formats.limits import check_size
from promise_seg.images.formats.segmentation_frames import SegmentationFrames
from promise_seg.images.formats.source import Source


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM segmentation."""
    if kind_of(path) is not DicomImage:
        return False
    return str(read_dataset(path, pixels=False).get("SOPClassUID")) in SEGMENTATION_CLASSES


@dataclass(frozen=True, eq=False)
class _Segmentation:
    decoder: "highdicom.seg.Segmentation"
    frames: SegmentationFrames
    instances: frozenset[str]
    """The UIDs of all images that the segmentation refers to, as a whole or frame by frame."""


@lru_cache(maxsize=2)
def _opened(path: Path, modified: int) -> _Segmentation:
    del modified
    logging.getLogger("highdicom").setLevel(logging.ERROR)  # it warns about facts that the frames state as well
    dataset = read_dataset(path)
    layers = max(int(dataset.get("NumberOfFrames") or 1), len(dataset.SegmentSequence))
    check_size(path, (layers, int(dataset.Rows), int(dataset.Columns)))
    check_frames(path, dataset)
    frames = SegmentationFrames.of(path, dataset)
    decoder = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
    try:
        whole = {str(row[2]) for row in decoder.get_source_image_uids()}
    except (AttributeError, KeyError, RuntimeError, ValueError):
        whole = set()
    return _Segmentation(decoder, frames, frozenset(whole | frames.instances))


def read_segmentation(path: Path, image: Source, index: int) -> LabelArray:
    """Return the segments of one slice of an image as labels (H, W): 0 for background, otherwise segment numbers.

    Fractional segmentations are thresholded at one half. Where segments overlap, the highest number is taken. A slice
    that the segmentation does not cover is all background.

    Raises:
        ImageError: if the segmentation is damaged, or segments other images; or if the image is not DICOM, or not
            read as acquired.
    """
    if not isinstance(image, DicomSource):
        raise ImageError(
            f"{path}: a DICOM segmentation needs its DICOM image; {image.path} is of the kind {image.kind}"
        )
    if image.is_cut:
        raise ImageError(f"{path}: a DICOM segmentation follows the images as acquired. Leave --axis out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            segmentation = _opened(path, path.stat().st_mtime_ns)
            named = segmentation.instances
            uid = str(image.source_frame(index)[0].SOPInstanceUID)
            if named and uid not in named and not named & image.instance_uids:
                raise ImageError(f"{path}: segments other images than {image.path}: none of its references is to it")
            return _labels(segmentation.decoder, segmentation.frames.of_slice(image, index))
    except PromiseError:
        raise
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to decode it") from None
    except Exception as error:  # highdicom and pydicom raise whatever they run into
        raise damaged(path, error) from error


def _labels(segmentation: "highdicom.seg.Segmentation", frames: list[int]) -> LabelArray:
    """Return the labels (H, W) of some frames; where they overlap, the highest number."""
    labels = np.zeros((int(segmentation.Rows), int(segmentation.Columns)), np.int64)
    for frame in frames:
        stored = segmentation.get_stored_frame(frame + 1)
        if segmentation.SegmentationType == "LABELMAP":
            found = np.where(np.isin(stored, segmentation.segment_numbers), stored, 0)
        else:
            number = macro(segmentation, frame, "SegmentIdentificationSequence")[0].ReferencedSegmentNumber
            full = int(segmentation.get("MaximumFractionalValue", 1))  # fractional: probabilities or occupancies
            found = (2 * stored.astype(np.int64) >= full) * int(number)
        labels = np.maximum(labels, found)
    return labels
