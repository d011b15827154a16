"""A deliberately lopsided volume, stored with every permutation and flip of its axes, is cut into the same pictures."""

from itertools import permutations, product

import numpy as np
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.readers import read_image, read_labels
from promise_seg.images.reading import make_reading
from promise_seg.vocabulary import Axis
from tests.files import write_nifti

SHAPE = (7, 9, 11)  # right to left, back to front, feet to head
SPACING = (1.0, 2.0, 3.0)
ORIENTATIONS = list(product(permutations(range(3)), product((1, -1), repeat=3)))


def lopsided():
    """In RAS+: bright at the patient's left, front and head, each in its own way."""
    x, y, z = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1], 0 : SHAPE[2]]
    return (100 * x + 10 * y + z).astype(np.int16)  # x grows to the right, y to the front, z to the head


def stored(order, signs):
    """The same volume with its axes in another order and direction, and the affine that says so."""
    array, affine = lopsided(), np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-5, 20, 7)
    array = array.transpose(order)
    affine = affine[:, [*order, 3]]
    for axis, sign in enumerate(signs):
        if sign < 0:
            array = np.flip(array, axis)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
    return np.ascontiguousarray(array), affine


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_slices_look_the_same_however_the_volume_is_stored(order, signs, tmp_path):
    array, affine = stored(order, signs)
    truth = lopsided()
    for axis, expected in (
        (Axis.AXIAL, truth.transpose(2, 1, 0)[:, ::-1, ::-1]),  # rows to the back, columns to the left
        (Axis.CORONAL, truth.transpose(1, 2, 0)[::-1, ::-1, ::-1]),  # slices to the back, rows to the feet
        (Axis.SAGITTAL, truth.transpose(0, 2, 1)[::-1, ::-1, ::-1]),  # slices to the left, rows to the feet
    ):
        frame = SliceFrame(tmp_path, array.shape, affine, axis)
        slices = frame.to_slices(array)
        assert np.array_equal(slices, expected)
        assert np.array_equal(frame.from_slices(slices), array)


def test_spacing_follows_the_axes(tmp_path):
    for order, signs in ORIENTATIONS[::7]:
        array, affine = stored(order, signs)
        for axis, expected in ((Axis.AXIAL, (3, 2, 1)), (Axis.CORONAL, (2, 3, 1)), (Axis.SAGITTAL, (1, 3, 2))):
            assert SliceFrame(tmp_path, array.shape, affine, axis).spacing == pytest.approx(expected)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_a_mask_that_is_stored_in_another_order_falls_on_its_image(tmp_path, axis):
    image, image_affine = stored((2, 0, 1), (1, -1, 1))
    mask, mask_affine = stored((0, 1, 2), (-1, 1, 1))
    write_nifti(tmp_path / "i.nii.gz", image, image_affine)
    write_nifti(tmp_path / "m.nii.gz", (mask > 400).astype(np.uint8), mask_affine)
    source = open_source(tmp_path / "i.nii.gz", Axis(axis))
    for index in range(len(source)):
        assert np.array_equal(read_labels(tmp_path / "m.nii.gz", source, index) > 0, source.values(index) > 400)


def test_masks_of_other_places_are_refused(tmp_path):
    array, affine = stored((0, 1, 2), (1, 1, 1))
    write_nifti(tmp_path / "i.nii", array, affine)
    moved = affine.copy()
    moved[0, 3] += 4
    write_nifti(tmp_path / "moved.nii", array.astype(np.uint8), moved)
    write_nifti(tmp_path / "small.nii", array[:-1].astype(np.uint8), affine)
    source = open_source(tmp_path / "i.nii")
    with pytest.raises(ImageError, match=r"moved\.nii lies up to 4\.0 mm away"):
        read_labels(tmp_path / "moved.nii", source, 0)
    with pytest.raises(ImageError, match=r"small\.nii has 6 x 9 x 11 voxels but its image .* has 7 x 9 x 11"):
        read_labels(tmp_path / "small.nii", source, 0)


def test_a_degenerate_affine_is_refused(tmp_path):
    for affine in (np.zeros((4, 4)), np.full((4, 4), np.nan)):
        with pytest.raises(ImageError, match="affine is degenerate"):
            SliceFrame(tmp_path, SHAPE, affine, Axis.AXIAL).to_slices(lopsided())


def test_the_axis_is_the_user_s_choice(tmp_path):
    write_nifti(tmp_path / "i.nii", lopsided())
    shapes = {axis: read_image(tmp_path / "i.nii", make_reading(axis=axis)).shape[:2] for axis in tuple(Axis)}
    assert shapes == {"auto": (9, 7), "axial": (9, 7), "coronal": (11, 7), "sagittal": (11, 9)}
