"""Segmentations that highdicom wrote, as masks of the images that they refer to."""

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.coding import Code

from promise_seg.data.formats.opening import open_source
from promise_seg.data.formats.orientation import Axis
from promise_seg.data.readers import read_labels
from promise_seg.errors import ImageError
from promise_seg.prediction.outputs.dicom_seg import _make
from tests.files import write_dicom, write_nifti, write_series

LABELS = np.random.default_rng(1).integers(0, 3, (4, 12, 10))
LABELS[2] = 0  # a slice that the segmentation will not mention


def write_segmentation(path, datasets, labels):
    present = np.stack([labels == 1, labels == 2], -1).astype(np.uint8)
    _make(datasets, present, ["one", "two"]).save_as(path)
    return path


@pytest.fixture
def series(tmp_path):
    return open_source(write_series(tmp_path / "ct"))


def test_slices_of_a_series(series, tmp_path):
    path = write_segmentation(tmp_path / "seg.dcm", series.datasets(), LABELS)
    for index in range(4):
        assert np.array_equal(read_labels(path, series, index), LABELS[index])


def test_a_single_image(tmp_path):
    write_dicom(tmp_path / "a.dcm", np.zeros((12, 10), np.int16))
    path = write_segmentation(tmp_path / "seg.dcm", [pydicom.dcmread(tmp_path / "a.dcm")], LABELS[:1])
    assert np.array_equal(read_labels(path, open_source(tmp_path / "a.dcm"), 0), LABELS[0])


def test_where_segments_overlap_the_higher_number_counts(series, tmp_path):
    both = np.ones((4, 12, 10, 2), np.uint8)
    _make(series.datasets(), both, ["one", "two"]).save_as(tmp_path / "seg.dcm")
    assert (read_labels(tmp_path / "seg.dcm", series, 1) == 2).all()


def test_segmentations_of_others_are_refused(series, tmp_path):
    other = open_source(write_series(tmp_path / "other"))
    path = write_segmentation(tmp_path / "seg.dcm", other.datasets(), LABELS)
    with pytest.raises(ImageError, match="segments other images than"):
        read_labels(path, series, 0)
    with pytest.raises(ImageError, match="can only be read with its image"):
        read_labels(path)
    write_nifti(tmp_path / "a.nii", np.zeros((3, 4, 5), np.int16))
    with pytest.raises(ImageError, match="needs its DICOM image"):
        read_labels(path, open_source(tmp_path / "a.nii"), 0)
    with pytest.raises(ImageError, match="follows the images as acquired"):
        read_labels(path, open_source(other.path, Axis.CORONAL), 0)


def other_kind(path, datasets, labels, kind):
    """As highdicom writes segmentations of the other kinds."""
    algorithm = hd.AlgorithmIdentificationSequence("a", Code("123109", "DCM", "Artificial Intelligence"), "1")
    lesion = Code("52988006", "SCT", "Lesion")
    descriptions = [
        hd.seg.SegmentDescription(n + 1, f"s{n}", lesion, lesion, "AUTOMATIC", algorithm_identification=algorithm)
        for n in range(2 if kind == "LABELMAP" else 1)
    ]
    hd.seg.Segmentation(
        datasets, labels, kind, descriptions, hd.UID(), 1, hd.UID(), 1, "m", "m", "1", "1"
    ).save_as(path)  # fmt: skip
    return path


def test_label_map_segmentations(series, tmp_path):
    path = other_kind(tmp_path / "seg.dcm", series.datasets(), LABELS.astype(np.uint8), "LABELMAP")
    for index in range(4):
        assert np.array_equal(read_labels(path, series, index), LABELS[index])


def test_of_fractions_one_half_counts(series, tmp_path):
    shares = np.zeros((4, 12, 10), np.float32)
    shares[:, :4], shares[:, 4:8] = 0.4, 0.6
    path = other_kind(tmp_path / "seg.dcm", series.datasets(), shares, "FRACTIONAL")
    assert np.array_equal(read_labels(path, series, 0) > 0, shares[0] > 0.5)


def test_a_segmentation_without_references_is_no_damaged_one(series, tmp_path):
    path = write_segmentation(tmp_path / "seg.dcm", series.datasets(), LABELS)
    dataset = pydicom.dcmread(path)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        if "DerivationImageSequence" in group:
            del group.DerivationImageSequence
    for name in ("ReferencedSeriesSequence", "SourceImageSequence"):
        if name in dataset:
            delattr(dataset, name)
    dataset.save_as(path)
    with pytest.raises(ImageError, match="does not say which images its frames were made from"):
        read_labels(path, series, 0)


def test_what_we_write_is_what_highdicom_reads(series, tmp_path):
    path = write_segmentation(tmp_path / "seg.dcm", series.datasets(), LABELS)
    read = hd.seg.segread(path)
    assert [read.get_segment_description(n).segment_label for n in (1, 2)] == ["one", "two"]
    uids = [str(d.SOPInstanceUID) for d in series.datasets()]
    pixels = read.get_pixels_by_source_instance(uids, combine_segments=True, assert_missing_frames_are_empty=True)
    assert np.array_equal(pixels, LABELS)
