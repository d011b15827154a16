"""Write labels as a DICOM segmentation that refers to its images, using ``highdicom``."""

import hashlib
import json
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

from promise_seg._version import __version__
from promise_seg.arrays import Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom_planes import plane_of
from promise_seg.images.formats.dicom_source import DicomSource
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.outputs.dicom_mending import images_to_refer_to
from promise_seg.prediction.outputs.reading_back import faults_of_writing, stack_beside, write_checked
from promise_seg.prediction.outputs.segment_codes import category_and_type

_UTF8 = "ISO_IR 192"
_FAMILY = Code("123109", "DCM", "Artificial Intelligence")


def write_dicom_seg(labelled: Labelled, path: Path, *, keep_empty_frames: bool = False) -> None:
    """Write a binary segmentation with a segment for each label; empty slices are left out.

    The identifiers are derived from the content: the same labels of the same images always get the same identifiers, so
    an archive that receives them twice keeps one copy.

    Args:
        labelled: labels of DICOM images.
        path: path of the file.
        keep_empty_frames: whether each segment has a frame for each slice, even if the frame is empty.

    Raises:
        ImageError: if the input is not DICOM, is cut across another axis, or lacks elements that a segmentation must
            refer to, or if the written file cannot be read back.
    """
    source = labelled.source
    if not isinstance(source, DicomSource) or source.is_cut:
        raise ImageError(
            f"{source.path}: a DICOM segmentation needs DICOM images as they were acquired. Choose another --format"
        )
    if _has_unplaced_frames(source):
        raise ImageError(
            f"{source.path}: has several frames without positions, so that no DICOM segmentation can refer to them. "
            "Choose another --format"
        )
    present = np.stack([labelled.stack == label for label in labelled.names], -1).astype(np.uint8)
    with faults_of_writing(labelled, path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = images_to_refer_to(source)
        segmentation = _make(images, present, list(labelled.names.values()), keep_empty_frames)
    numbers = np.zeros(max(labelled.names) + 1, np.int64)
    numbers[list(labelled.names)] = np.arange(1, len(labelled.names) + 1)

    def read(written: Path) -> Array:
        hd.seg.segread(written)
        return stack_beside(written, labelled)

    write_checked(labelled, path, segmentation.save_as, read, numbers[labelled.stack])


def _has_unplaced_frames(source: DicomSource) -> bool:
    """Whether an input is one file with several frames, some of them without a position."""
    dataset, number = source.source_frame(0)
    return number is not None and any(plane_of(dataset, index) is None for index in range(len(source)))


def _make(
    images: list[Dataset], present: np.ndarray, names: list[str], keep_empty_frames: bool = False
) -> "hd.seg.Segmentation":
    """Make the segmentation from ``present``, (N, H, W, labels) uint8."""
    names = [" ".join(name.replace("\\", "/").split()) for name in names]  # a backslash separates values in DICOM
    made = _identifiers(images, present, names, keep_empty_frames)
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
            tracking_uid=made("segment", number),
            tracking_id=f"{name[:50]} {number + 1}",
        )
        for number, (name, (category, kind)) in enumerate(zip(names, map(category_and_type, names), strict=True))
    ]
    segmentation = hd.seg.Segmentation(
        source_images=images,
        pixel_array=present,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=made("series"),
        series_number=900,
        sop_instance_uid=made("instance"),
        instance_number=1,
        manufacturer="promise-seg",
        manufacturer_model_name="promise-seg",
        software_versions=__version__,
        device_serial_number="0",
        series_description="promise-seg segmentation",
        content_description="Predicted; not reviewed",
        content_label="SEGMENTATION",
        omit_empty_frames=bool(present.any()) and not keep_empty_frames,
    )
    if "ImagePositionPatient" not in images[0] and "SharedFunctionalGroupsSequence" not in images[0]:
        segmentation.PatientOrientation = images[0].get("PatientOrientation") or ""
    for organisation in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        organisation.DimensionOrganizationUID = made("dimensions")
    segmentation.SpecificCharacterSet = _UTF8  # segment names may be in any script
    return segmentation


def _identifiers(
    images: list[Dataset], present: np.ndarray, names: list[str], keep_empty_frames: bool
) -> Callable[..., UID]:
    """Return a function that derives the identifier of a part of the segmentation from the whole content.

    Source: DICOM PS3.5, B.2: 2.25 followed by a UUID as a number; here a UUID that is derived from a name.
    """
    content = hashlib.sha256(np.packbits(present).tobytes())
    said = [__version__, present.shape, names, keep_empty_frames, [str(image.SOPInstanceUID) for image in images]]
    content.update(json.dumps(said).encode())

    def make(*part: object) -> UID:
        name = " ".join([content.hexdigest(), *map(str, part)])
        return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}")

    return make
