"""Labels as a DICOM segmentation that refers to the images it was made from. Written by ``highdicom``."""

import warnings
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import PIXEL_KEYWORDS, Dataset
from pydicom.sr.coding import Code

from promise_seg._version import __version__
from promise_seg.errors import ImageError, first_line
from promise_seg.files import write_whole
from promise_seg.images.formats.dicom_planes import plane_of
from promise_seg.images.formats.dicom_source import DicomSource
from promise_seg.prediction.labelling import Labelled
from promise_seg.prediction.outputs.segment_codes import category_and_type

_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_UTF8 = "ISO_IR 192"
_FAMILY = Code("123109", "DCM", "Artificial Intelligence")


def write_dicom_seg(labelled: Labelled, path: Path) -> None:
    """Write a binary segmentation with a segment for each label; a slice with nothing in it is left out.

    Raises:
        ImageError: if the input is not DICOM, is cut across, or lacks what a segmentation must refer to.
    """
    source = labelled.source
    if not isinstance(source, DicomSource) or source.is_cut:
        raise ImageError(
            f"{source.path}: a DICOM segmentation needs DICOM images as they were acquired. Choose another --format"
        )
    if _has_unplaced_frames(source):
        raise ImageError(
            f"{source.path}: has several frames and does not say where they lie, so that no DICOM segmentation can "
            "refer to them. Choose another --format"
        )
    present = np.stack([labelled.stack == label for label in labelled.names], -1).astype(np.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images = [_completed(dataset) for dataset in source.datasets()]
            segmentation = _make(images, present, list(labelled.names.values()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ImageError(
            f"{source.path}: no DICOM segmentation can refer to it: {first_line(error)}. Choose another --format"
        ) from error
    write_whole(path, lambda p: segmentation.save_as(p))


def _has_unplaced_frames(source: DicomSource) -> bool:
    """Whether ``highdicom`` would refer to a file as a whole, without the numbers of its frames."""
    dataset, number = source.source_frame(0)
    return number is not None and any(plane_of(dataset, index) is None for index in range(len(source)))


def _completed(dataset: Dataset) -> Dataset:
    """A copy without pixels, in UTF-8, with what anonymised files lack and a segmentation must repeat.

    The sets of characters that hospitals declare are of several parts, empty or misspelt, which ``highdicom`` refuses.
    """
    completed = Dataset()
    encoding = dataset.get("SpecificCharacterSet") or "ISO_IR 6"
    for tag in dataset.keys():  # noqa: SIM118 (the tags: a data set iterates over elements)
        if tag.is_private or tag in PIXEL_KEYWORDS:
            continue
        try:
            element = Dataset(parent_encoding=encoding)
            element.add(dataset[tag])
            element.decode()
            completed.add(element[tag])
        except Exception:  # pydicom raises whatever it runs into, and a segmentation may well not need it
            completed[tag] = dataset.get_item(tag)
    completed.add_new("SpecificCharacterSet", "CS", _UTF8)  # a new element: the others are the image's own
    for name in _MAY_BE_EMPTY:  # but not absent
        if name not in completed:
            setattr(completed, name, "")
    return completed


def _make(images: list[Dataset], present: np.ndarray, names: list[str]) -> "hd.seg.Segmentation":
    """Shape: ``present`` (N, H, W, labels)."""
    algorithm = hd.AlgorithmIdentificationSequence(
        name="promise-seg", version=__version__, family=_FAMILY, source="promise-seg"
    )
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number + 1,
            segment_label=name[:64],
            segmented_property_category=category,
            segmented_property_type=kind,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=hd.UID(),
            tracking_id=f"{name[:50]} {number + 1}",
        )
        for number, (name, (category, kind)) in enumerate(zip(names, map(category_and_type, names), strict=True))
    ]
    segmentation = hd.seg.Segmentation(
        source_images=images,
        pixel_array=present,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=hd.UID(),
        series_number=900,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="promise-seg",
        manufacturer_model_name="promise-seg",
        software_versions=__version__,
        device_serial_number="0",
        series_description="promise-seg segmentation",
        content_description="Predicted; not reviewed",
        omit_empty_frames=bool(present.any()),
    )
    segmentation.SpecificCharacterSet = _UTF8  # names of segments may be in any script
    return segmentation
