"""DICOM segmentations are paired with the images that they name, whatever the files are called."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from promise_seg.curation.pairing.folders import pair_folder
from promise_seg.curation.pairing.groups import with_groups
from promise_seg.images.formats.opening import open_source
from tests.files import write_dicom, write_series

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def segment(path, folder, *, instances=True):
    """A segmentation that refers to a series, with or without its instances."""
    headers = [dcmread(file, stop_before_pixels=True) for file in sorted(folder.iterdir())]
    series = Dataset()
    series.SeriesInstanceUID = headers[0].SeriesInstanceUID
    series.ReferencedInstanceSequence = []
    for header in headers if instances else []:
        item = Dataset()
        item.ReferencedSOPInstanceUID = header.SOPInstanceUID
        series.ReferencedInstanceSequence.append(item)
    write_dicom(
        path, np.zeros((5, 6), np.uint8), sop_class=SEGMENTATION, ReferencedSeriesSequence=[series], PatientID="A"
    )


@pytest.mark.parametrize("instances", [True, False])
def test_series_as_archives_hand_them_out(tmp_path, instances):
    for patient in ("A", "B"):
        write_series(tmp_path / patient / "study/1-CT", count=3, PatientID=patient)
        segment(tmp_path / patient / "study/2-SEG/1-1.dcm", tmp_path / patient / "study/1-CT", instances=instances)
    write_series(tmp_path / "C/study/1-CT", count=2)
    found = pair_folder(tmp_path)
    assert {(pair.image, pair.mask) for pair in found.pairs} == {
        (tmp_path / p / "study/1-CT", tmp_path / p / "study/2-SEG/1-1.dcm") for p in ("A", "B")
    }
    assert found.images_alone == [tmp_path / "C/study/1-CT"]
    assert [pair.group for pair in with_groups(found.pairs, tmp_path).pairs] == ["A", "B"]


def test_a_segmentation_may_lie_beside_its_slices(tmp_path):
    write_series(tmp_path / "p/all", count=3)
    segment(tmp_path / "p/all/seg.dcm", tmp_path / "p/all")
    (pair,) = pair_folder(tmp_path).pairs
    assert (pair.image, pair.mask) == (tmp_path / "p/all", tmp_path / "p/all/seg.dcm")
    assert len(open_source(pair.image)) == 3


def test_series_in_one_folder_and_two_segmentations_of_one_are_not_guessed(tmp_path):
    write_series(tmp_path / "one", count=2)
    segment(tmp_path / "seg/1.dcm", tmp_path / "one")
    segment(tmp_path / "seg/2.dcm", tmp_path / "one")
    write_series(tmp_path / "good", count=2)
    segment(tmp_path / "seg/3.dcm", tmp_path / "good")
    write_series(tmp_path / "mixed", count=2)
    segment(tmp_path / "seg/4.dcm", tmp_path / "mixed")
    write_series(tmp_path / "mixed", count=2, prefix="other")
    found = pair_folder(tmp_path)
    assert [pair.image.name for pair in found.pairs] == ["good"]
    assert any("has several masks: seg/1.dcm, seg/2.dcm" in clash for clash in found.clashes)
    assert any("expected a folder for each series" in clash for clash in found.clashes)
