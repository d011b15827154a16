import numpy as np
import pytest

from promise_seg.data.augmentation import Recipe, View, view_of
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


def test_a_view_repeats_itself_to_the_pixel():
    image, _ = disc_image(3, 64, 64)
    view = View(noise=5.0, noise_seed=7, angle=20)
    assert np.array_equal(view.apply_to_image(image), view.apply_to_image(image))


def test_the_reference_s_recipe_changes_each_thing_as_often_as_it_says():
    views = [view_of(SHA, number, Recipe.REFERENCE) for number in range(1, 2001)]
    shares = {
        "flip": np.mean([v.flip_x for v in views]),
        "turn": np.mean([v.angle != 0 for v in views]),
        "blur": np.mean([v.blur > 0 for v in views]),
        "contrast": np.mean([v.contrast != 1 for v in views]),
        "one of four": np.mean([v.equalise or v.sharpen > 0 or v.jpeg > 0 or v.noise > 0 for v in views]),
    }
    assert all(0.21 < share < 0.29 for share in shares.values()), shares
    assert 0.07 < np.mean([bool(v.dropped) for v in views]) < 0.13
    assert max(abs(v.angle) for v in views) <= 45
    assert view_of(SHA, 0, Recipe.REFERENCE) == View()


@pytest.mark.parametrize(
    "view",
    [View(equalise=True), View(sharpen=0.5), View(jpeg=80), View(dropped=((0.25, 0.5, 0.125, 0.125),))],
)
def test_degradations_change_the_image_and_not_the_mask(view):
    image, mask = disc_image(4, 64, 64)
    changed = view.apply_to_image(image)
    assert changed.shape == image.shape
    assert not np.array_equal(changed, image)
    assert np.corrcoef(changed.ravel(), image.ravel())[0, 1] > 0.6
    assert np.array_equal(view.apply_to_mask(mask), mask)
    assert np.array_equal(changed, view.apply_to_image(image))


def test_dropped_patches_are_black_where_they_say():
    changed = View(dropped=((0.25, 0.5, 0.125, 0.25),)).apply_to_image(np.full((64, 64, 3), 200, np.uint8))
    assert (changed == 0).all(2).sum() == 8 * 16
    assert (changed[32:48, 16:24] == 0).all()
