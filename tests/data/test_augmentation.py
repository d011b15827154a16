import numpy as np
import pytest

from promise_seg.data.augmentation import View, view_of
from tests.helpers import disc_image

SHA = "ab" * 32


def test_view_zero_is_the_image_itself():
    image, mask = disc_image(0, 64, 64)
    assert view_of(SHA, 0).apply_to_image(image) is image
    assert view_of(SHA, 0).apply_to_mask(mask) is mask


def test_a_view_depends_on_image_and_number_alone():
    assert view_of(SHA, 3) == view_of(SHA, 3)
    assert view_of(SHA, 3) != view_of(SHA, 4)
    assert view_of(SHA, 3) != view_of("cd" * 32, 3)


@pytest.mark.parametrize("number", range(1, 9))
def test_image_and_mask_move_together(number):
    image, mask = disc_image(1, 64, 64)
    view = view_of(SHA, number)
    moved, moved_mask = view.apply_to_image(image), view.apply_to_mask(mask)
    assert moved.shape == image.shape
    assert moved.dtype == np.uint8
    brightness = moved.mean(2)
    assert brightness[moved_mask].mean() > brightness[~moved_mask].mean() + 50


def test_mirrors_are_exact():
    image, mask = disc_image(2, 33, 33)
    view = View(flip_x=True)
    assert np.array_equal(view.apply_to_image(image), image[:, ::-1])
    assert np.array_equal(View(flip_y=True).apply_to_mask(mask), mask[::-1])


def test_a_view_repeats_itself_to_the_pixel():
    image, _ = disc_image(3, 64, 64)
    view = View(noise=5.0, noise_seed=7, angle=20)
    assert np.array_equal(view.apply_to_image(image), view.apply_to_image(image))
