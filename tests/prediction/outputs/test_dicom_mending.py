"""Segmentations of images with blemishes are sound: to highdicom, to dciodvfy where it is installed, and to us."""

import shutil
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs.dicom_seg import write_dicom_seg
from tests.files import write_dicom, write_series


def change(folder, edit):
    """Edit the data sets of a series in the order of their slices."""
    paths = sorted(folder.iterdir(), key=lambda path: float(pydicom.dcmread(path).ImagePositionPatient[2]))
    for number, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        edit(number, dataset)
        dataset.save_as(path)
    return folder


def errors_of(path):
    """What dciodvfy calls an error."""
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]


def rounded(number, dataset):
    dataset.ImageOrientationPatient = [1, 1e-6, 0, -1e-6, 1, 0] if number % 2 else [1, 0, 0, 0, 1, 0]


def two_decimals(number, dataset):
    dataset.ImageOrientationPatient = [0.71, 0.7, 0, -0.7, 0.71, 0]


def of_elements(**elements):
    def edit(number, dataset):
        for name, value in elements.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)

    return edit


BLEMISHES = [
    rounded,
    two_decimals,
    of_elements(SliceThickness=""),
    of_elements(SliceThickness=None),
    of_elements(SliceThickness=0, SpacingBetweenSlices=-2),
    of_elements(FrameOfReferenceUID=None),
    of_elements(FrameOfReferenceUID=""),
    of_elements(PatientSex="m", PatientBirthDate="2020.13.45", StudyTime="10h"),
    of_elements(PatientAge="45", PatientWeight="70", StudyDescription="X" * 80, PatientIdentityRemoved="YES"),
]
needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: dicom3tools)")


def segmented_radiograph(label, folder):
    dx = "1.2.840.10008.5.1.4.1.1.1.1"
    path = write_dicom(folder / "dx.dcm", np.zeros((5, 6), np.uint16), placed=False, sop_class=dx, Modality="DX",
                       PixelSpacing=[1, 1])  # fmt: skip
    labelled = label(path)
    write_dicom_seg(labelled, folder / "seg.dcm")
    return labelled


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("edit", BLEMISHES)
def test_blemishes_of_images_do_not_reach_their_segmentation(label, tmp_path, edit):
    labelled = label(change(write_series(tmp_path / "ct"), edit), {1: "a", 2: "b"})
    write_dicom_seg(labelled, tmp_path / "seg.dcm")
    shared = hd.seg.segread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0]
    assert float(shared.PixelMeasuresSequence[0].SliceThickness) == 2
    for index in range(4):
        assert np.array_equal(read_labels(tmp_path / "seg.dcm", labelled.source, index), labelled.stack[index])


@needs_dciodvfy
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("edit", BLEMISHES)
def test_segmentations_of_images_with_blemishes_keep_the_standard(label, tmp_path, edit):
    labelled = label(change(write_series(tmp_path / "ct"), edit), {1: "a", 2: "b"})
    write_dicom_seg(labelled, tmp_path / "seg.dcm")
    assert errors_of(tmp_path / "seg.dcm") == []


def test_a_radiograph_without_a_place_has_no_thickness(label, tmp_path):
    labelled = segmented_radiograph(label, tmp_path)
    assert "SliceThickness" not in hd.seg.segread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0]
    assert np.array_equal(read_labels(tmp_path / "seg.dcm", labelled.source, 0), labelled.stack[0])


@needs_dciodvfy
def test_the_segmentation_of_a_radiograph_without_a_place_keeps_the_standard(label, tmp_path):
    segmented_radiograph(label, tmp_path)
    assert errors_of(tmp_path / "seg.dcm") == []


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (of_elements(SOPInstanceUID="1.2.3"), "its images have the same SOPInstanceUID"),
        (of_elements(StudyInstanceUID=None), "some of its images have no single StudyInstanceUID"),
        (lambda n, d: setattr(d, "FrameOfReferenceUID", f"1.2.{n}"), "its images are in different frames of reference"),
        (lambda n, d: setattr(d, "FrameOfReferenceUID", ["1.2", "1.3"]), "in different frames of reference"),
        (lambda n, d: setattr(d, "PixelSpacing", [0.5 + n, 0.8]), r"differ in direction or spacing, by up to"),
    ],
)
def test_images_that_cannot_be_told_apart_or_placed_are_refused(label, tmp_path, edit, words):
    labelled = label(change(write_series(tmp_path / "ct"), edit))
    with pytest.raises(ImageError, match=words):
        write_dicom_seg(labelled, tmp_path / "seg.dcm")
    assert not (tmp_path / "seg.dcm").exists()


def test_empty_frames_can_be_kept(label, tmp_path):
    labelled = label(write_series(tmp_path / "ct"), {1: "a", 2: "b"})
    labelled.slices[0].labels[:] = 0
    for keep, frames in ((False, 6), (True, 8)):
        write_dicom_seg(labelled, tmp_path / "seg.dcm", keep_empty_frames=keep)
        assert int(pydicom.dcmread(tmp_path / "seg.dcm").NumberOfFrames) == frames
        assert not read_labels(tmp_path / "seg.dcm", labelled.source, 0).any()
