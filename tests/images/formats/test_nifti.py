from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_image, read_labels
from tests.files import write_nifti

LIBRARY = Path(nib.__file__).parent / "tests" / "data"


@pytest.mark.parametrize(
    ("name", "slices", "shape"),
    [("anatomical.nii", 25, (41, 33)), ("reoriented_anat_moved.nii", 22, (26, 21)), ("standard.nii.gz", 7, (5, 4))],
)
def test_the_library_s_own_files(name, slices, shape):
    """Values agree with nibabel's own reading, whatever the orientation."""
    path = LIBRARY / name
    source = open_source(path)
    assert len(source) == slices
    assert read_image(path, index=3).shape == (*shape, 3)
    stack = np.stack([source.values(i) for i in range(len(source))])
    np.testing.assert_allclose(source.frame.from_slices(stack), nib.load(path).get_fdata(), rtol=1e-6)


def test_a_fourth_dimension_is_that_of_channels_and_more_are_refused(tmp_path):
    source = open_source(LIBRARY / "example4d.nii.gz")
    ways = (
        (source.values, "; say in training which"),
        (source.as_stored, "; expected one"),
        (source.own_window, ""),
    )
    for read, words in ways:
        with pytest.raises(ImageError, match=rf"example4d\.nii\.gz: has 2 channels \(0, 1\){words}"):
            read(0)
    volumes = nib.load(LIBRARY / "example4d.nii.gz").get_fdata()
    for number in range(2):
        stack = np.stack([source.channel_values(index, number) for index in range(len(source))])
        np.testing.assert_allclose(source.frame.from_slices(stack), volumes[..., number], rtol=1e-6)
    write_nifti(tmp_path / "vectors.nii", np.zeros((3, 4, 5, 1, 6), np.int16))
    assert open_source(tmp_path / "vectors.nii").channels == ("",) * 6
    write_nifti(tmp_path / "five.nii", np.zeros((3, 4, 5, 2, 6), np.int16))
    with pytest.raises(ImageError, match=r"has 5 dimensions \(3 x 4 x 5 x 2 x 6\); expected one volume, or one of"):
        open_source(tmp_path / "five.nii")


def test_a_fourth_dimension_of_one_and_a_missing_third_are_fine(tmp_path):
    write_nifti(tmp_path / "four.nii", np.zeros((3, 4, 5, 1), np.int16))
    write_nifti(tmp_path / "two.nii", np.arange(12, dtype=np.int16).reshape(3, 4))
    assert len(open_source(tmp_path / "four.nii")) == 5
    assert read_image(tmp_path / "two.nii").shape == (4, 3, 3)


def test_a_stated_range_is_the_file_s_own_window(tmp_path):
    image = nib.Nifti1Image(np.array([[[-1000, 0, 40, 80, 3000]]], np.int16), np.eye(4))
    image.header["cal_min"], image.header["cal_max"] = 0, 80
    nib.save(image, tmp_path / "a.nii")
    assert [int(read_image(tmp_path / "a.nii", index=i)[0, 0, 0]) for i in range(5)] == [0, 0, 128, 255, 255]


def test_without_one_the_whole_volume_is_on_one_scale(tmp_path):
    write_nifti(tmp_path / "a.nii", np.array([[[-100, 0, 300]]], np.int16))
    assert [int(read_image(tmp_path / "a.nii", index=i)[0, 0, 0]) for i in range(3)] == [0, 64, 255]


def test_scaled_colour_and_big_endian_values(tmp_path):
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    image.header.set_slope_inter(2, -1000)
    nib.save(image, tmp_path / "s.nii")
    expected = nib.load(tmp_path / "s.nii").get_fdata()
    assert np.array_equal(open_source(tmp_path / "s.nii").array, expected)
    big = nib.Nifti1Image(np.arange(8, dtype=">i2").reshape(2, 2, 2), np.eye(4), nib.Nifti1Header(endianness=">"))
    nib.save(big, tmp_path / "b.nii")
    assert open_source(tmp_path / "b.nii").array.ravel().tolist() == list(range(8))
    colours = np.zeros((2, 3, 1), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours["G"] = 200
    nib.save(nib.Nifti1Image(colours, np.eye(4)), tmp_path / "c.nii")
    assert read_image(tmp_path / "c.nii")[0, 0].tolist() == [0, 200, 0]


def test_the_header_of_a_pair_is_refused(tmp_path):
    nib.save(nib.Nifti1Pair(np.full((4, 4, 4), 7, np.int16), np.eye(4)), tmp_path / "a.img")
    with pytest.raises(ImageError, match=r"a\.hdr: the header of a pair"):
        open_source(tmp_path / "a.hdr")


def test_truncated_volumes_are_said_to_be(tmp_path):
    for name in ("a.nii", "b.nii.gz"):
        write_nifti(tmp_path / name, np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16))
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ImageError, match=f"{name}: damaged or truncated") as caught:
            open_source(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("most", [2, 3, 6, 100, 200])
@pytest.mark.parametrize("offset", [0, -3])
def test_labels_that_were_edited_in_python_are_whole_numbers(tmp_path, most, offset):
    """``nibabel`` saves floats in the header's own type, so that whole numbers get a slope, and are off by it."""
    labels = np.zeros((4, 5, 3), np.uint8)
    labels[1], labels[2], labels[3] = 1, most // 2, most
    first = nib.Nifti1Image(labels, np.eye(4))
    edited = first.get_fdata() + offset
    nib.Nifti1Image(edited, first.affine, first.header).to_filename(tmp_path / "m.nii.gz")
    source = open_source(tmp_path / "m.nii.gz")
    assert 0 < source.value_step < 1
    found = np.stack([read_labels(tmp_path / "m.nii.gz", source, index) for index in range(3)])
    assert np.array_equal(source.frame.from_slices(found), edited)


def test_values_without_a_scale_have_no_step(tmp_path):
    for name, values in (("whole", np.zeros((2, 2, 2), np.int16)), ("float", np.zeros((2, 2, 2), np.float32))):
        assert open_source(write_nifti(tmp_path / f"{name}.nii", values)).value_step == 0
