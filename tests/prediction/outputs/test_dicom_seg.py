import warnings

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.sequence import Sequence
from pydicom.uid import UID

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs.dicom_seg import write_dicom_seg
from promise_seg.vocabulary import Axis
from tests.files import write_dicom, write_nifti, write_series


def test_what_is_written_is_read_back_by_highdicom_by_pydicom_and_by_us(label, tmp_path):
    folder = write_series(tmp_path / "ct")
    labelled = label(folder, {1: "liver", 2: "spleen"})
    write_dicom_seg(labelled, tmp_path / "seg.dcm")

    source = open_source(folder)
    read = hd.seg.segread(tmp_path / "seg.dcm")
    uids = [str(d.SOPInstanceUID) for d in source.datasets()]
    pixels = read.get_pixels_by_source_instance(uids, combine_segments=True)
    assert np.array_equal(pixels, labelled.stack)
    assert [read.get_segment_description(n).segment_label for n in (1, 2)] == ["liver", "spleen"]

    plain = pydicom.dcmread(tmp_path / "seg.dcm")
    frames = plain.pixel_array
    assert len(frames) == 8
    for frame, group in zip(frames, plain.PerFrameFunctionalGroupsSequence, strict=True):
        segment = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        place = [float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient]
        index = round((place[2] - 30) / 2)
        assert np.array_equal(frame, labelled.stack[index] == segment)
    algorithm = plain.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmName == "promise-seg"
    assert plain.FrameOfReferenceUID == source.datasets()[0].FrameOfReferenceUID
    assert plain.PatientID == "p1"

    for index in range(4):
        assert np.array_equal(read_labels(tmp_path / "seg.dcm", source, index), labelled.stack[index])


def identifiers(path):
    """All identifiers that a segmentation was given, without those of its images."""
    dataset = pydicom.dcmread(path)
    segments = [one.TrackingUID for one in dataset.SegmentSequence]
    dimensions = {one.DimensionOrganizationUID for one in dataset.DimensionIndexSequence}
    assert dimensions == {one.DimensionOrganizationUID for one in dataset.DimensionOrganizationSequence}
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    return [dataset.SOPInstanceUID, dataset.SeriesInstanceUID, *dimensions, *segments]


def test_the_same_content_has_the_same_identifiers_and_other_content_has_others(label, tmp_path):
    folder = write_series(tmp_path / "ct")
    names = {1: "liver", 2: "spleen"}
    kinds = [(names, False), (names, False), (names, True), ({1: "liver", 2: "kidney"}, False), ({1: "liver"}, False)]
    found = []
    for number, (given, keep) in enumerate(kinds):
        write_dicom_seg(label(folder, given), tmp_path / f"{number}.dcm", keep_empty_frames=keep)
        found.append(identifiers(tmp_path / f"{number}.dcm"))
    assert found[0] == found[1]
    assert all(UID(one).is_valid for several in found for one in several)
    different = [one for several in found[1:] for one in several]
    assert len(set(different)) == len(different)
    write_dicom_seg(label(write_series(tmp_path / "other"), names), tmp_path / "other.dcm")
    assert set(identifiers(tmp_path / "other.dcm")).isdisjoint(found[0])


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
def test_single_images_of_the_library(label, tmp_path, name):
    labelled = label(get_testdata_file(name))
    write_dicom_seg(labelled, tmp_path / "seg.dcm")
    assert np.array_equal(read_labels(tmp_path / "seg.dcm", labelled.source, 0), labelled.stack[0])


def test_names_in_any_script(label, tmp_path):
    write_dicom_seg(label(write_series(tmp_path / "ct"), {1: "Läsion 肝"}), tmp_path / "seg.dcm")
    assert pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence[0].SegmentLabel == "Läsion 肝"


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        (["", "ISO 2022 IR 100"], "Müller^Jörg"),
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO-IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Müller=山田"),
        ("", "Mueller"),
        ("ISO_IR 6", "Mueller"),
        ("ISO 2022 IR 6", "Mueller"),
    ],
)
def test_names_of_patients_whatever_characters_hospitals_declare(label, tmp_path, declared, name):
    """In sequences too."""
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID = "p2", "Yamada" if declared == "ISO_IR 6" else name.split("=")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what is misspelt
        folder = write_series(
            tmp_path / "ct", SpecificCharacterSet=declared, PatientName=name, OtherPatientIDsSequence=Sequence([other])
        )
        labelled = label(folder)
    write_dicom_seg(labelled, tmp_path / "seg.dcm")
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (read.SpecificCharacterSet, read.PatientName) == ("ISO_IR 192", name)
    assert read.OtherPatientIDsSequence[0].IssuerOfPatientID == other.IssuerOfPatientID


def test_what_is_written_changes_nothing_of_its_image(label, tmp_path):
    image = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", np.zeros((5, 6), np.uint16)))
    del image.PatientName
    image.SpecificCharacterSet = "ISO_IR 100"
    image.save_as(tmp_path / "a.dcm")
    labelled = label(tmp_path / "a.dcm")
    write_dicom_seg(labelled, tmp_path / "seg.dcm")
    assert labelled.source.dataset.SpecificCharacterSet == "ISO_IR 100"
    assert "PatientName" not in labelled.source.dataset


def test_elements_that_make_no_sense_and_are_not_needed(label, tmp_path):
    path = write_dicom(tmp_path / "a.dcm", np.zeros((5, 6), np.uint16), FilterType="1234567890")
    path.write_bytes(path.read_bytes().replace(b"SH\x0a\x001234567890", b"FD\x0a\x001234567890"))
    with pytest.raises(BytesLengthException):
        _ = pydicom.dcmread(path).FilterType
    write_dicom_seg(label(path), tmp_path / "seg.dcm")
    assert pydicom.dcmread(tmp_path / "seg.dcm").PatientID == "p1"


def test_names_say_what_segments_are(label, tmp_path):
    """Where they are words that others know; the names themselves stay as they are given."""
    write_dicom_seg(label(write_series(tmp_path / "ct"), {1: "adrenal_gland", 2: "Dr. X's"}), tmp_path / "seg.dcm")
    first, second = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence
    assert (first.SegmentLabel, second.SegmentLabel) == ("adrenal_gland", "Dr. X's")
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Anatomical structure"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "23451007"
    assert second.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Morphologically abnormal structure"
    assert second.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Lesion"


def test_nothing_found_is_a_segmentation_too(label, tmp_path):
    labelled = label(write_series(tmp_path / "ct"), empty=True)
    write_dicom_seg(labelled, tmp_path / "seg.dcm")
    assert not pydicom.dcmread(tmp_path / "seg.dcm").pixel_array.any()
    assert not read_labels(tmp_path / "seg.dcm", labelled.source, 2).any()


def test_inputs_that_no_segmentation_can_refer_to(label, tmp_path):
    write_nifti(tmp_path / "v.nii", np.zeros((4, 5, 6), np.int16))
    folder = write_series(tmp_path / "ct")
    for labelled in (label(tmp_path / "v.nii"), label(folder, axis=Axis.CORONAL)):
        with pytest.raises(ImageError, match=r"needs DICOM images as they were acquired\. Choose another --format"):
            write_dicom_seg(labelled, tmp_path / "seg.dcm")
    write_dicom(tmp_path / "a.dcm", np.zeros((5, 6), np.uint16))
    bad = label(tmp_path / "a.dcm")
    del bad.source.dataset.StudyInstanceUID
    with pytest.raises(ImageError, match="no DICOM segmentation can refer to it"):
        write_dicom_seg(bad, tmp_path / "seg.dcm")
    assert not (tmp_path / "seg.dcm").exists()


def test_frames_that_do_not_say_where_they_lie_are_not_referred_to(label, tmp_path):
    """Otherwise a segmentation would name the file, but none of its frames, and could never be read beside it."""
    write_dicom(tmp_path / "clip.dcm", np.zeros((3, 5, 6), np.uint8), placed=False, NumberOfFrames=3)
    with pytest.raises(ImageError, match=r"clip\.dcm: has several frames without positions"):
        write_dicom_seg(label(tmp_path / "clip.dcm"), tmp_path / "seg.dcm")
    assert not (tmp_path / "seg.dcm").exists()
