"""Views of every recipe keep their pixels from one version to the next, as stored features are found by their draws."""

import numpy as np
import pytest

from promise_seg.augmentation import view_of
from promise_seg.vocabulary import Recipe
from tests.augmentation.test_monai_recipes import SHA, one_thread, smooth_image  # noqa: F401

GOLDEN = {
    Recipe.OWN: [
        97,
        60,
        95,
        68,
        106,
        95,
        109,
        111,
        135,
        138,
        116,
        131,
        65,
        105,
        63,
        96,
        132,
        133,
        129,
        120,
        97,
        99,
        94,
        93,
    ],
    Recipe.REFERENCE: [
        121,
        125,
        125,
        123,
        125,
        130,
        123,
        122,
        120,
        125,
        132,
        129,
        132,
        131,
        125,
        130,
        120,
        123,
        99,
        109,
        119,
        129,
        115,
        121,
    ],
    Recipe.LIGHT: [
        110,
        105,
        124,
        109,
        126,
        128,
        124,
        129,
        128,
        122,
        126,
        124,
        147,
        140,
        140,
        138,
        102,
        110,
        93,
        104,
        142,
        121,
        134,
        119,
    ],
    Recipe.GREY: [
        122,
        106,
        107,
        96,
        117,
        117,
        117,
        126,
        129,
        143,
        141,
        133,
        102,
        115,
        121,
        119,
        139,
        131,
        128,
        118,
        127,
        130,
        131,
        126,
    ],
}


@pytest.mark.parametrize("recipe", GOLDEN)
def test_pixels_change_only_with_the_version(recipe):
    """Means over quarters of views 1 to 6. Where these differ, ``recipes.VERSIONS`` has to go up, as stored features
    would be of other views: after a change here, or in MONAI's draws. ``own`` has no version and never changes."""
    views = [view_of(SHA, number, recipe).apply_to_image(smooth_image()) for number in range(1, 7)]
    quarters = [view.reshape(2, 32, 2, 32, 3).mean((1, 3, 4)).ravel() for view in views]
    assert np.abs(np.concatenate(quarters) - GOLDEN[recipe]).max() < 1
