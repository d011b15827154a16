import numpy as np
import pytest

from promise_seg.images.borders import content_box
from promise_seg.images.geometry import Box


def framed(left, top, right, bottom, height=60, width=80):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 12, (height, width, 3)).astype(np.uint8)  # black, as JPEG leaves it
    image[top:bottom, left:right] = rng.integers(60, 200, (bottom - top, right - left, 3))
    return image


@pytest.mark.parametrize("box", [Box(10, 5, 70, 50), Box(0, 0, 40, 60), Box(79, 59, 80, 60), Box(20, 0, 80, 60)])
def test_the_content_is_found_in_a_noisy_border(box):
    assert content_box(framed(*box)) == box


def test_an_image_without_border_and_a_dark_one_are_left_as_they_are():
    assert content_box(framed(0, 0, 80, 60)) is None
    assert content_box(np.zeros((20, 30, 3), np.uint8)) is None


def test_a_few_bright_specks_in_the_border_are_no_content():
    image = framed(10, 5, 190, 150, 160, 200)
    image[2, 3] = 255
    assert content_box(image) == Box(10, 5, 190, 150)


def test_a_round_view_keeps_all_of_its_disc():
    y, x = np.mgrid[0:300, 0:400]
    disc = np.hypot(x - 200, y - 150) < 120
    image = np.where(disc[..., None], 120, 3).astype(np.uint8).repeat(3, 2)
    box = content_box(image)
    inside = np.zeros_like(disc)
    inside[box.top : box.bottom, box.left : box.right] = True
    assert (disc & ~inside).sum() < 0.001 * disc.sum()
