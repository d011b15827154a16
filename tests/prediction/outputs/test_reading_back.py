"""What cannot be read back takes nobody's place; ITK opens every NIfTI file."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs import nifti, reading_back
from promise_seg.prediction.outputs.formats import WRITERS
from promise_seg.vocabulary import OutputFormat
from tests.files import write_nifti, write_series
from tests.prediction.outputs.test_dicom_mending import change

FORMATS = [OutputFormat.NIFTI, OutputFormat.NRRD, OutputFormat.DICOM_SEG, OutputFormat.TIFF, OutputFormat.RLE]


@pytest.mark.parametrize("fault", [lambda stack: stack[:1], lambda stack: 1 - stack])
@pytest.mark.parametrize("output", FORMATS)
def test_what_comes_back_otherwise_is_not_kept(label, tmp_path, monkeypatch, output, fault):
    same = reading_back.check_same
    monkeypatch.setattr(reading_back, "check_same", lambda found, expected: same(fault(found), expected))
    folder = write_series(tmp_path / "ct")
    with pytest.raises(ImageError, match=r"ct: its labels were written, but could not be read back unchanged"):
        WRITERS[output].write(label(folder), tmp_path / "out" / f"a{WRITERS[output].suffix}")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_writer_s_fault_is_an_error_of_the_image(label, tmp_path, monkeypatch):
    Image.fromarray(np.zeros((6, 7), np.uint8)).save(tmp_path / "a.png")
    labelled = label(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "save", lambda *_: 1 / 0)
    with pytest.raises(ImageError, match=r"a\.png: .* ZeroDivisionError: division by zero\. Choose another --format"):
        WRITERS[OutputFormat.PNG].write(labelled, tmp_path / "mask.png")
    assert not (tmp_path / "mask.png").exists()


def tilted(number, dataset):
    dataset.ImagePositionPatient = [-10, -20 + number, 30 + 2 * number]


def coarse(number, dataset):
    dataset.ImageOrientationPatient = [0.87, 0.5, 0, -0.49, 0.86, 0]


@pytest.mark.parametrize("edit", [tilted, coarse, lambda number, dataset: None])
def test_itk_opens_nifti_of_a_series_as_it_opens_the_series(label, tmp_path, edit):
    itk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    folder = change(write_series(tmp_path / "ct"), edit)
    labelled = label(folder)
    note = nifti.write_nifti(labelled, tmp_path / "seg.nii.gz")
    assert ("tilted gantry" in (note or "")) == (edit is tilted)
    written = itk.ReadImage(str(tmp_path / "seg.nii.gz"))
    series = itk.ReadImage(itk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    for of in ("GetOrigin", "GetSpacing"):
        np.testing.assert_allclose(
            getattr(written, of)(), getattr(series, of)(), atol=0.01
        )  # cosines of two decimals are no unit vectors
    if edit is coarse:  # ITK ignores such directions of DICOM images
        assert written.GetDirection()[:2] == pytest.approx((0.87, -0.49), abs=0.02)
    else:
        np.testing.assert_allclose(written.GetDirection(), series.GetDirection(), atol=1e-4)
    assert np.array_equal(itk.GetArrayFromImage(written), labelled.stack)
    for index in range(4):
        assert np.array_equal(read_labels(tmp_path / "seg.nii.gz", labelled.source, index), labelled.stack[index])


def test_itk_opens_labels_of_a_sheared_nifti_file(label, tmp_path):
    itk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    affine = np.array([[2, 0, 0, 1], [0, 2, 1, 2], [0, 0, 3, 3], [0, 0, 0, 1]], float)
    write_nifti(tmp_path / "v.nii", np.zeros((4, 5, 6), np.int16), affine)
    with pytest.raises(RuntimeError, match="orthonormal"):
        itk.ReadImage(str(tmp_path / "v.nii"))
    assert "qform" in nifti.write_nifti(label(tmp_path / "v.nii"), tmp_path / "seg.nii.gz")
    assert itk.ReadImage(str(tmp_path / "seg.nii.gz")).GetSize() == (4, 5, 6)
    np.testing.assert_allclose(nib.load(tmp_path / "seg.nii.gz").affine, affine)


def test_an_uneven_series_is_no_nifti_and_both_distances_are_said(label, tmp_path):
    folder = write_series(tmp_path / "ct", count=5)
    (folder / "slice003").unlink()
    words = r"2\.00 mm from slice002 to slice001, but 4\.00 mm from slice004 to slice002, and a NIfTI file"
    with pytest.raises(ImageError, match=words):
        nifti.write_nifti(label(folder), tmp_path / "seg.nii.gz")
    assert open_source(folder).frame is None
