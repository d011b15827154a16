"""DICOM segmentations as masks. Read by ``highdicom``."""

import warnings
from functools import lru_cache
from pathlib import Path

import highdicom
import numpy as np
import numpy.typing as npt

from promise_seg.data.formats.dicom import DicomImage
from promise_seg.data.formats.dicom_files import SEGMENTATION_CLASSES, check_frames, damaged, read_dataset
from promise_seg.data.formats.kinds import FileKind, kind_of
from promise_seg.data.formats.limits import check_size
from promise_seg.data.formats.series import DicomSeries
from promise_seg.data.formats.source import Source
from promise_seg.errors import ImageError, PromiseError

LabelArray = npt.NDArray[np.integer]


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM segmentation."""
    if path.is_dir() or kind_of(path) != FileKind.DICOM:
        return False
    return str(read_dataset(path, pixels=False).get("SOPClassUID")) in SEGMENTATION_CLASSES


@lru_cache(maxsize=2)
def _opened(path: Path, modified: int) -> "highdicom.seg.Segmentation":
    del modified
    dataset = read_dataset(path)
    layers = max(int(dataset.get("NumberOfFrames") or 1), len(dataset.SegmentSequence))
    check_size(path, (layers, int(dataset.Rows), int(dataset.Columns)))
    check_frames(path, dataset)
    return highdicom.seg.Segmentation.from_dataset(dataset, copy=False)


def read_segmentation(path: Path, image: Source, index: int) -> LabelArray:
    """The segments of one slice of an image, as labels (H, W): 0 is none, others are segment numbers.

    Of fractional segmentations, what reaches one half counts. Where segments overlap, the highest number is taken. A
    slice that the segmentation does not mention has none.

    Raises:
        ImageError: if it is damaged, or segments other images.
    """
    if not isinstance(image, DicomImage | DicomSeries):
        raise ImageError(
            f"{path}: a DICOM segmentation needs its DICOM image; {image.path} is of the kind {image.kind}"
        )
    if image.is_cut:
        raise ImageError(f"{path}: a DICOM segmentation follows the images as acquired. Leave --axis out")
    dataset, frame = image.source_frame(index)
    uid = str(dataset.SOPInstanceUID)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            segmentation = _opened(path, path.stat().st_mtime_ns)
            named = _references(path, segmentation)
            if uid not in named and not (isinstance(image, DicomSeries) and named & image.instance_uids):
                raise ImageError(f"{path}: segments other images than {image.path}: none of its references is to it")
            if uid not in named:
                return np.zeros((int(dataset.Rows), int(dataset.Columns)), np.uint8)
            if frame is None:
                found = segmentation.get_pixels_by_source_instance([uid], assert_missing_frames_are_empty=True)
            else:
                found = segmentation.get_pixels_by_source_frame(uid, [frame], assert_missing_frames_are_empty=True)
    except PromiseError:
        raise
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to decode it") from None
    except Exception as error:  # highdicom and pydicom raise whatever they run into
        raise damaged(path, error) from error
    numbers = np.array(list(segmentation.segment_numbers), np.int64)
    return np.asarray(((found[0] >= 0.5) * numbers).max(-1))  # of fractional ones: probabilities or occupancies


def _references(path: Path, segmentation: "highdicom.seg.Segmentation") -> set[str]:
    """The instances that it segments."""
    try:
        named = {str(row[2]) for row in segmentation.get_source_image_uids()}
    except (AttributeError, KeyError, RuntimeError, ValueError):
        named = set()
    if not named:
        raise ImageError(
            f"{path}: does not say which images its frames were made from, so that they cannot be told to fit. "
            "Export it with references to its source images, or as NIfTI"
        )
    return named
