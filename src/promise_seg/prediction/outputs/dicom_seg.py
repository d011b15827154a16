"""Labels as a DICOM segmentation that refers to the images it was made from. Written by ``highdicom``."""

import warnings
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

import promise_seg
from promise_seg.data.formats.dicom import DicomImage
from promise_seg.data.formats.series import DicomSeries
from promise_seg.errors import PromiseError
from promise_seg.files import write_whole
from promise_seg.prediction.labelling import Labelled

CATEGORY = Code("49755003", "SCT", "Morphologically abnormal structure")
TYPE = Code("52988006", "SCT", "Lesion")
"""What every segment is said to be: the finer meaning is in its label, which a user can give."""
_FAMILY = Code("123109", "DCM", "Artificial Intelligence")


def write_dicom_seg(labelled: Labelled, path: Path) -> None:
    """A binary segmentation with a segment for each label; a slice with nothing in it is left out.

    Raises:
        PromiseError: if the input is not DICOM, is cut across, or lacks what a segmentation must refer to.
    """
    source = labelled.source
    if isinstance(source, DicomSeries) and not source.is_cut:
        images = source.datasets()
    elif isinstance(source, DicomImage):
        images = [source.dataset]
    else:
        raise PromiseError(
            f"{source.path}: a DICOM segmentation needs DICOM images as they were acquired. Choose another --format"
        )
    present = np.stack([labelled.stack == label for label in labelled.names], -1).astype(np.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            segmentation = _make(images, present, list(labelled.names.values()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PromiseError(
            f"{source.path}: no DICOM segmentation can refer to it: {error}. Choose another --format, such as png"
        ) from error
    write_whole(path, lambda p: segmentation.save_as(p))


def _make(images: list[Dataset], present: np.ndarray, names: list[str]) -> "hd.seg.Segmentation":
    """Shape: ``present`` (N, H, W, labels)."""
    algorithm = hd.AlgorithmIdentificationSequence(
        name="promise-seg", version=promise_seg.__version__, family=_FAMILY, source="promise-seg"
    )
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number + 1,
            segment_label=name[:64],
            segmented_property_category=CATEGORY,
            segmented_property_type=TYPE,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=hd.UID(),
            tracking_id=f"{name[:50]} {number + 1}",
        )
        for number, name in enumerate(names)
    ]
    return hd.seg.Segmentation(
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
        software_versions=promise_seg.__version__,
        device_serial_number="0",
        series_description="promise-seg segmentation",
        content_description="Predicted; not reviewed",
        omit_empty_frames=bool(present.any()),
    )
