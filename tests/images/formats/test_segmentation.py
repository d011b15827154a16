"""Segmentations that highdicom wrote, as masks of the images that they refer to."""

import logging

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs.dicom_seg import _make
from promise_seg.vocabulary import Axis
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


def changed(path, *, without_references=True, whole=(), frames=lambda number, group: None, **elements):
    """A segmentation anew: without references, without some elements of the whole, each frame changed."""
    dataset = pydicom.dcmread(path)
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        if without_references:
            group.pop("DerivationImageSequence", None)
        frames(number, group)
    for name in (*whole, *(("ReferencedSeriesSequence", "SourceImageSequence") if without_references else ())):
        dataset.pop(name, None)
    dataset.update(elements)
    dataset.save_as(path)
    return path


def moved(group, millimetres):
    place = group.PlanePositionSequence[0].ImagePositionPatient
    group.PlanePositionSequence[0].ImagePositionPatient = [
        float(v) + d for v, d in zip(place, millimetres, strict=True)
    ]


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)])
def test_without_references_frames_belong_to_the_slices_that_they_lie_on(tmp_path, kind, orientation):
    """All pixels to half of one (here 0.5 x 0.8 mm); slices without a frame are empty."""
    series = open_source(write_series(tmp_path / "ct", orientation=orientation))
    if kind == "BINARY":
        path = write_segmentation(tmp_path / "seg.dcm", series.datasets(), LABELS)
    else:
        path = other_kind(tmp_path / "seg.dcm", series.datasets(), LABELS.astype(np.uint8), kind)
    for index in range(4):
        assert np.array_equal(read_labels(changed(path), series, index), LABELS[index])
    changed(path, frames=lambda number, group: moved(group, (0.1, 0.15, -0.15)))
    for index in range(4):
        assert np.array_equal(read_labels(path, series, index), LABELS[index])
    changed(path, frames=lambda number, group: moved(group, (0.0, 0.15, -0.15)))
    with pytest.raises(ImageError, match="none of its frames is on a slice, to within half a pixel"):
        read_labels(path, series, 0)


def test_a_place_or_segment_that_all_frames_share(tmp_path):
    """What is the same in all frames may be said once, as highdicom does of a single segment."""
    write_dicom(tmp_path / "a.dcm", np.zeros((12, 10), np.int16))
    image = pydicom.dcmread(tmp_path / "a.dcm")
    path = tmp_path / "seg.dcm"
    _make([image], (LABELS[:1, ..., None] == 2).astype(np.uint8), ["two"]).save_as(path)
    dataset = pydicom.dcmread(path)
    [frame], [shared] = dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence
    assert "SegmentIdentificationSequence" in shared
    shared.add(frame.pop("PlanePositionSequence"))
    dataset.save_as(path)
    assert np.array_equal(read_labels(changed(path), open_source(tmp_path / "a.dcm"), 0), LABELS[0] == 2)


def enhanced(path, orders=((0, 30.0), (1, 32.0), (2, 34.0), (3, 36.0))):
    """An image of several frames, each at a height."""
    plane, measures, shared = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient, measures.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.5, 0.8]
    measures.SliceThickness = 2
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([plane]), Sequence([measures])
    groups = []
    for number, height in orders:
        place, content, group = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient, content.DimensionIndexValues = [-10, -20, height], [number + 1]
        group.PlanePositionSequence, group.FrameContentSequence = Sequence([place]), Sequence([content])
        groups.append(group)
    return write_dicom(
        path, np.zeros((len(groups), 12, 10), np.int16), placed=False, sop_class=EnhancedCTImageStorage,
        NumberOfFrames=len(groups), SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence(groups),
    )  # fmt: skip


def test_frames_of_one_file(tmp_path):
    """By their numbers; by where they lie if these are left out, which refers to all."""
    image = open_source(enhanced(tmp_path / "a.dcm"))
    path = write_segmentation(tmp_path / "seg.dcm", [image.dataset], LABELS)
    for index in range(4):
        assert np.array_equal(read_labels(path, image, index), LABELS[index])

    def unnumbered(number, group):
        del group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber

    changed(path, without_references=False, frames=unnumbered)
    for index in range(4):
        assert np.array_equal(read_labels(path, image, index), LABELS[index])


def test_a_frame_lies_on_all_times_of_its_place(tmp_path):
    image = open_source(enhanced(tmp_path / "a.dcm", ((0, 30.0), (1, 32.0), (2, 30.0), (3, 32.0))))
    one = open_source(enhanced(tmp_path / "one.dcm", ((0, 30.0), (1, 32.0))))
    path = changed(
        write_segmentation(tmp_path / "seg.dcm", [one.dataset], LABELS[:2]),
        FrameOfReferenceUID=image.dataset.FrameOfReferenceUID,
    )
    for index in range(4):
        assert np.array_equal(read_labels(path, image, index), LABELS[index % 2])


@pytest.mark.parametrize("stated", ["NO", None])
def test_references_that_do_not_say_that_pixels_correspond(series, tmp_path, stated):
    """Where frames lie goes first; only without it are references taken that leave it open."""

    def state(number, group):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        if stated is None:
            del source.SpatialLocationsPreserved
        else:
            source.SpatialLocationsPreserved = stated

    path = write_segmentation(tmp_path / "seg.dcm", series.datasets(), LABELS)
    changed(path, without_references=False, frames=state)
    for index in range(4):
        assert np.array_equal(read_labels(path, series, index), LABELS[index])
    changed(path, without_references=False, whole=("FrameOfReferenceUID",))
    if stated is None:
        assert np.array_equal(read_labels(path, series, 1), LABELS[1])
    else:
        with pytest.raises(
            ImageError, match="does not reference the source images of its frames, nor state their positions"
        ):
            read_labels(path, series, 1)


def test_frames_that_say_neither_are_no_damage(series, tmp_path):
    path = write_segmentation(tmp_path / "seg.dcm", series.datasets(), LABELS)
    changed(path, FrameOfReferenceUID=generate_uid())
    with pytest.raises(
        ImageError, match=r"source images of its frames, and is in another frame of reference than .*ct, so they"
    ):
        read_labels(path, series, 0)
    changed(path, whole=("FrameOfReferenceUID",))
    with pytest.raises(
        ImageError, match="source images of its frames, nor state their positions, so they cannot be matched"
    ):
        read_labels(path, series, 0)
    write_dicom(tmp_path / "a.dcm", np.zeros((12, 10), np.int16), placed=False)
    write_segmentation(path, series.datasets(), LABELS)
    with pytest.raises(ImageError, match=r"source images of its frames, and .*a\.dcm has no position, so they"):
        read_labels(changed(path), open_source(tmp_path / "a.dcm"), 0)
    changed(path, NumberOfFrames=7)
    with pytest.raises(ImageError, match="describes 6 frames but has 7, so that it cannot be told where they belong"):
        read_labels(path, series, 0)


def test_references_of_frames_do_without_those_of_the_whole(series, tmp_path, monkeypatch, capsys):
    """And what highdicom thinks of that is not said."""
    monkeypatch.setattr(logging.root, "handlers", [])  # as outside of pytest: warnings go to the screen
    path = write_segmentation(tmp_path / "seg.dcm", series.datasets(), LABELS)
    changed(path, without_references=False, whole=("ReferencedSeriesSequence", "FrameOfReferenceUID"))
    for index in range(4):
        assert np.array_equal(read_labels(path, series, index), LABELS[index])
    other = open_source(write_series(tmp_path / "other"))
    with pytest.raises(ImageError, match="segments other images than"):
        read_labels(path, other, 0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_frames_that_end_within_a_byte(tmp_path, kind):
    shape, rng = (3, 5, 7), np.random.default_rng(2)
    series = open_source(write_series(tmp_path / "ct", np.zeros(shape, np.int16)))
    labels = rng.integers(0, 2, shape).astype(np.float32 if kind == "FRACTIONAL" else np.uint8)
    path = other_kind(tmp_path / "seg.dcm", series.datasets(), labels, kind)
    for index in range(3):
        assert np.array_equal(read_labels(path, series, index), labels[index])


def test_what_we_write_is_what_highdicom_reads(series, tmp_path):
    path = write_segmentation(tmp_path / "seg.dcm", series.datasets(), LABELS)
    read = hd.seg.segread(path)
    assert [read.get_segment_description(n).segment_label for n in (1, 2)] == ["one", "two"]
    uids = [str(d.SOPInstanceUID) for d in series.datasets()]
    pixels = read.get_pixels_by_source_instance(uids, combine_segments=True, assert_missing_frames_are_empty=True)
    assert np.array_equal(pixels, LABELS)
