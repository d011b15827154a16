"""Masks of slices that are not evenly stacked."""

import nibabel as nib
import numpy as np
import pydicom
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import pairing_by_number, read_labels
from tests.files import write_nifti, write_series

LABELS = np.random.default_rng(0).integers(0, 2, (5, 12, 10)).astype(np.uint8)


def affine(step=2.0, start=30.0):
    """Columns, rows and slices as ``write_series`` places them, in RAS+."""
    return np.array([[-0.8, 0, 0, 10], [0, -0.5, 0, 20], [0, 0, step, start], [0, 0, 0, 1]])


def lost(folder):
    """The third of five slices, at 34 mm."""
    (write_series(folder, LABELS.astype(np.int16)) / "slice003").unlink()
    return open_source(folder)


def mask(path, stack, **place):
    return write_nifti(path, np.ascontiguousarray(stack.T), affine(**place))


def test_by_place_where_the_mask_has_the_lost_slice(tmp_path):
    image, path = lost(tmp_path / "ct"), mask(tmp_path / "m.nii", LABELS)
    for index, number in enumerate((0, 1, 3, 4)):
        assert np.array_equal(read_labels(path, image, index), LABELS[number])


@pytest.mark.parametrize("step", [2.0, 8 / 3])
def test_by_number_where_the_mask_was_made_of_the_series(tmp_path, step):
    image, path = lost(tmp_path / "ct"), mask(tmp_path / "m.nii", LABELS[[0, 1, 3, 4]], step=step)
    for index, number in enumerate((0, 1, 3, 4)):
        assert np.array_equal(read_labels(path, image, index), LABELS[number])


def test_a_slice_a_little_off_and_a_mask_from_top_to_bottom(tmp_path):
    folder = write_series(tmp_path / "ct", LABELS.astype(np.int16))
    dataset = pydicom.dcmread(folder / "slice002")
    dataset.ImagePositionPatient = [-10, -20, 36.2]
    dataset.save_as(folder / "slice002")
    image, path = open_source(folder), mask(tmp_path / "m.nii", LABELS[::-1], step=-2.0, start=38.0)
    assert image.frame is None
    for index in range(5):
        assert np.array_equal(read_labels(path, image, index), LABELS[index])


@pytest.mark.parametrize("place", [{"start": 33.0}, {"step": 3.5}])
def test_others_are_refused_with_both_distances(tmp_path, place):
    image, path = lost(tmp_path / "ct"), mask(tmp_path / "m.nii", LABELS[:4], **place)
    with pytest.raises(ImageError, match=r"m\.nii: .* 2\.00 mm from slice002 to slice001, but 4\.00 mm .* 4 slices, "):
        read_labels(path, image, 0)


def test_a_series_of_masks_at_the_same_places(tmp_path):
    image = lost(tmp_path / "ct")
    lost(tmp_path / "masks")
    assert np.array_equal(read_labels(tmp_path / "masks", image, 2), LABELS[3])


@pytest.mark.parametrize("by_number", [False, True])
def test_a_mask_in_micrometres_is_matched_in_millimetres(tmp_path, by_number):
    image = lost(tmp_path / "ct")
    stack, step = (LABELS[[0, 1, 3, 4]], 8 / 3) if by_number else (LABELS, 2.0)
    found = nib.Nifti1Image(np.ascontiguousarray(stack.T), np.diag([1000, 1000, 1000, 1]) @ affine(step=step))
    found.header.set_xyzt_units("micron")
    nib.save(found, tmp_path / "m.nii")
    for index, number in enumerate((0, 1, 3, 4)):
        assert np.array_equal(read_labels(tmp_path / "m.nii", image, index), LABELS[number])
    assert (pairing_by_number(open_source(tmp_path / "m.nii"), image) is not None) == by_number
