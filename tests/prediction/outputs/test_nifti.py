import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs.nifti import write_nifti as write_labels
from promise_seg.vocabulary import Axis
from tests.files import write_nifti, write_series

OBLIQUE = np.array([[0, -0.9, 0.1, 5], [2, 0, 0, -7], [0, 0.1, 3, 2], [0, 0, 0, 1]], float)


@pytest.mark.parametrize("axis", list(Axis))
@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-1, -1, 2, 1.0]), OBLIQUE])
def test_labels_lie_voxel_for_voxel_where_the_image_lies(label, tmp_path, axis, affine):
    write_nifti(tmp_path / "v.nii.gz", np.zeros((4, 5, 6), np.int16), affine)
    labelled = label(tmp_path / "v.nii.gz", {1: "a", 4: "b"}, axis)
    write_labels(labelled, tmp_path / "seg.nii.gz")
    written = nib.load(tmp_path / "seg.nii.gz")
    assert written.shape == (4, 5, 6)
    np.testing.assert_allclose(written.affine, nib.load(tmp_path / "v.nii.gz").affine, atol=1e-5)
    assert written.get_data_dtype() == np.uint8
    source = open_source(tmp_path / "v.nii.gz", axis)
    for index in range(len(source)):
        assert np.array_equal(read_labels(tmp_path / "seg.nii.gz", source, index), labelled.stack[index])


def test_the_header_keeps_its_space_and_loses_what_described_values(label, tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 5, 6, 1), np.int16), OBLIQUE)
    image.header.set_slope_inter(3, -1000)
    image.header["cal_max"] = 80
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(OBLIQUE, code="scanner")
    nib.save(image, tmp_path / "v.nii")
    write_labels(label(tmp_path / "v.nii"), tmp_path / "seg.nii.gz")
    written = nib.load(tmp_path / "seg.nii.gz")
    assert written.shape == (4, 5, 6, 1)
    assert int(written.header["sform_code"]) == 1
    assert written.header.get_xyzt_units() == ("mm", "sec")
    assert float(written.header["cal_max"]) == 0
    assert set(np.unique(written.get_fdata())) <= {0, 1}


@pytest.mark.parametrize("axis", [Axis.AUTO, Axis.CORONAL])
def test_a_dicom_series_gives_columns_rows_and_slices(label, tmp_path, axis):
    folder = write_series(tmp_path / "ct")
    labelled = label(folder, axis=axis)
    write_labels(labelled, tmp_path / "seg.nii.gz")
    written = nib.load(tmp_path / "seg.nii.gz")
    assert written.shape == (10, 12, 4)
    # the first voxel of the first slice as acquired, in RAS+, from the series' origin in LPS+
    assert written.affine[:3, 3] == pytest.approx([10, 20, 30])
    source = open_source(folder, axis)
    for index in range(len(source)):
        assert np.array_equal(read_labels(tmp_path / "seg.nii.gz", source, index), labelled.stack[index])


def test_pictures_have_no_place_in_space(label, tmp_path):
    Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png: does not state the position of its pixels"):
        write_labels(label(tmp_path / "a.png"), tmp_path / "seg.nii.gz")
