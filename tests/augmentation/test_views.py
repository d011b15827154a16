import numpy as np
import pytest

from promise_seg.augmentation import View, draw_view, view_of
from tests.helpers import disc_image

SHA = "ab" * 32


def test_a_key_names_only_what_a_view_changes():
    """So that a new kind of change, added later, leaves the stored features of old views where they are."""
    assert View().as_key() == {}
    assert View(angle=3.0, flip_x=True).as_key() == {"angle": 3.0, "flip_x": True}


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


def test_saturation_keeps_the_brightness_and_takes_the_colour():
    image = np.full((4, 4, 3), (30, 60, 120), np.uint8)
    assert (View(saturation=0.0).apply_to_image(image) == 70).all()
    assert (View(saturation=1.1).apply_to_image(image)[0, 0] == (26, 59, 125)).all()


def test_a_view_repeats_itself_to_the_pixel():
    image, _ = disc_image(3, 64, 64)
    view = View(noise=5.0, noise_seed=7, angle=20)
    assert np.array_equal(view.apply_to_image(image), view.apply_to_image(image))


def test_colours_alone_leave_everything_in_its_place():
    drawn = draw_view(np.random.default_rng(1))
    colours = drawn.only_colours()
    assert (colours.contrast, colours.gamma, colours.hue) == (drawn.contrast, drawn.gamma, drawn.hue)
    moved = View(angle=drawn.angle, scale=drawn.scale, shift_x=drawn.shift_x, shift_y=0.1, flip_x=True, flip_y=True)
    assert moved.only_colours() == View()


def test_an_inverted_view_exchanges_light_and_dark_and_moves_nothing():
    image, mask = disc_image(1, 64, 64)
    view = draw_view(np.random.default_rng(3))
    inverted = view.inverted()
    assert np.array_equal(inverted.apply_to_mask(mask), view.apply_to_mask(mask))
    assert inverted.as_key() != view.as_key()
    assert inverted.inverted() == view
    assert np.array_equal(View().inverted().apply_to_image(image), 255 - np.maximum(image, 1) + 1)
    moved = inverted.apply_to_mask(mask)
    brightness = inverted.apply_to_image(image).mean(2)
    assert brightness[moved].mean() < brightness[~moved].mean() - 50


@pytest.mark.parametrize("colours", [{}, {"contrast": 1.2, "brightness": 12.0, "hue": (1.0, 0.9, 1.1), "gamma": 0.8}])
def test_outside_the_image_an_inverted_view_is_as_one_that_is_not_inverted(colours):
    image = np.full((64, 64, 3), 90, np.uint8)
    view = View(angle=30, scale=0.8, shift_x=0.1, **colours)
    outside = (View(angle=30, scale=0.8, shift_x=0.1).apply_to_image(np.full_like(image, 255)) == 0).all(2)
    plain, inverted = view.apply_to_image(image), view.inverted().apply_to_image(image)
    assert outside.mean() > 0.2
    assert np.array_equal(inverted[outside], plain[outside])
    assert (inverted[32, 32] > plain[32, 32] + 50).all()


def test_within_the_image_an_inverted_view_is_what_it_was_before_its_padding_stayed_black():
    image, _ = disc_image(1, 64, 64)
    view = View(contrast=-1.2, brightness=5.0, flip_x=True, flip_y=True)
    before = np.clip(np.round((image[::-1, ::-1].astype(np.float32) - 128) * -1.2 + 128 + 5), 0, 255)
    assert np.array_equal(view.apply_to_image(image), before.astype(np.uint8))


def test_an_inverted_view_does_not_share_a_key_with_those_of_earlier_versions():
    assert View(angle=3.0, contrast=-1.5).as_key() != {"angle": 3.0, "contrast": -1.5}
    assert View(angle=3.0, contrast=1.5).as_key() == {"angle": 3.0, "contrast": 1.5}
