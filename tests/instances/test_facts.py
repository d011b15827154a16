"""What the table of objects says of each."""

import numpy as np
import pytest

from promise_seg.instances.facts import facts_of
from promise_seg.instances.outlining import ObjectMask
from promise_seg.instances.painting import paint

MASK = np.array([[1, 1, 0], [1, 1, 1]], bool)


def one(spacing=None, image=None):
    found = paint([ObjectMask(4, 2, np.where(MASK, 3.0, -3.0), MASK, 0.8, (4.0, 2.0), 0.7)], 6, 9)
    image = np.zeros((6, 9, 3), np.uint8) if image is None else image
    (fact,) = facts_of(found, image, spacing)
    return fact


def test_place_and_size_are_in_the_image_frame():
    fact = one()
    assert (fact.id, fact.area_pixels, fact.box_xyxy, fact.score, fact.predicted_iou) == (1, 5, (4, 2, 6, 3), 0.8, 0.7)
    assert fact.centre_xy == pytest.approx((4.8, 2.6))


def test_the_mean_intensity_is_that_of_its_own_pixels():
    image = np.full((6, 9, 3), 200, np.uint8)
    image[2:4, 4:7][MASK] = (30, 60, 90)
    assert one(image=image).mean_intensity == 60


@pytest.mark.parametrize(
    ("spacing", "area", "unit"),
    [
        (None, None, ""),
        ((0.5, 0.25), 0.625, "mm2"),
        ((0.00025, 0.0005), 0.625, "um2"),
        ((0.0, 0.5), None, ""),
        ((float("nan"), 0.5), None, ""),
    ],
)
def test_areas_in_space_need_a_pixel_size_that_makes_sense(spacing, area, unit):
    fact = one(spacing)
    assert (fact.area, fact.area_unit) == (area if area is None else pytest.approx(area), unit)
