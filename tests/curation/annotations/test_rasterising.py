"""Outlines as pixels, against pycocotools on the whole image, and against scikit-image."""

import numpy as np
import pytest
from pycocotools import mask as coco

from promise_seg.curation.annotations.rasterising import rasterise
from promise_seg.curation.annotations.shapes import (
    BrokenShapeError,
    Outline,
    bitmap_of,
    ellipse,
    polygon,
    rectangle,
    rotated_around,
)
from tests.curation.annotations.helpers import (
    HEIGHT,
    HOLE,
    LARGE,
    LOWER,
    STAR,
    WIDTH,
    drawn,
    drawn_ellipse,
    iou,
)

SIZE = WIDTH, HEIGHT


def painted(area, size=SIZE):
    patch = rasterise(area, size)
    whole = np.zeros((size[1], size[0]), bool)
    whole[patch.place] = patch.inside
    return whole


@pytest.mark.parametrize("seed", range(40))
def test_a_polygon_is_that_of_pycocotools_wherever_it_lies(seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 30)))
    radii = rng.uniform(20, 90, len(angles))
    middle = rng.uniform((-10, -10), (WIDTH + 10, HEIGHT + 10))
    ring = middle + np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)
    runs = coco.frPyObjects([ring.ravel().tolist()], HEIGHT, WIDTH)
    expected = coco.decode(runs)[..., 0].astype(bool)
    found = painted(polygon(ring))
    is_inside = ring.min() >= 0 and (ring.max(0) <= SIZE).all()
    if is_inside:
        assert np.array_equal(found, expected)
    if drawn(ring).sum() > 2500:
        assert iou(found, drawn(ring)) >= 0.98
        assert iou(found, expected) >= 0.995


def test_parts_are_united_and_rings_of_a_part_cut_each_other():
    part, other = (np.array(LARGE, float), np.array(HOLE, float)), (np.array(HOLE, float) + (0, 5),)
    assert iou(painted(Outline((part,))), drawn(LARGE, HOLE)) >= 0.99
    found = painted(Outline((part, other, (np.array(LOWER, float),))))
    assert iou(found, drawn(LARGE, HOLE) | drawn(other[0]) | drawn(LOWER)) >= 0.99


def test_pixels_reach_from_one_whole_number_to_the_next():
    assert np.array_equal(np.argwhere(painted(polygon([(2, 3), (4, 3), (4, 6), (2, 6)]), (8, 8))),
                          [[row, column] for row in (3, 4, 5) for column in (2, 3)])  # fmt: skip


def test_fractions_of_the_image():
    relative = np.array(STAR) / SIZE
    assert np.array_equal(painted(Outline(((relative,),), is_relative=True)), painted(polygon(STAR)))


@pytest.mark.parametrize("degrees", [0, 30, -75, 180])
def test_ellipses_and_rectangles(degrees):
    found = painted(Outline(((ellipse(110, 80, 60, 25, degrees),),)))
    assert iou(found, drawn_ellipse(110, 80, 60, 25, degrees)) >= 0.99
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([(0, 0), (50, 0), (50, 30), (0, 30)]) @ turn.T + (110, 80)
    assert np.allclose(rectangle(110, 80, 50, 30, degrees), corners)
    around = rotated_around(rectangle(85, 65, 50, 30), degrees)
    assert np.allclose(around, (np.array([(0, 0), (50, 0), (50, 30), (0, 30)]) - (25, 15)) @ turn.T + (110, 80))


@pytest.mark.parametrize(("top", "left"), [(0, 0), (-20, 30), (100, 190), (5, -40)])
def test_a_bitmap_is_cut_at_the_border(top, left):
    mask = np.random.default_rng(0).random((60, 70)) > 0.5
    patch = rasterise(bitmap_of(mask, top, left), SIZE)
    padded = np.zeros((HEIGHT + 200, WIDTH + 200), bool)
    padded[top + 100 : top + 160, left + 100 : left + 170] = mask
    assert np.array_equal(painted(bitmap_of(mask, top, left)), padded[100 : 100 + HEIGHT, 100 : 100 + WIDTH])
    assert patch.is_clipped == ((top, left) != (0, 0))


def test_an_outline_that_is_too_long(monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_MAX_VALUES", "1000")
    with pytest.raises(BrokenShapeError, match="which is too long"):
        rasterise(polygon(STAR), SIZE)


@pytest.mark.parametrize(
    "area",
    [polygon(np.array(STAR) + (400, 0)), polygon(np.array(STAR) * 1e6), bitmap_of(np.ones((3, 3)), 500, 0),
     bitmap_of(np.ones((3, 3)), -3, 0), polygon(np.array(STAR) - (0, 200))],
)  # fmt: skip
def test_what_lies_outside_is_refused(area):
    with pytest.raises(BrokenShapeError, match="outside the image"):
        rasterise(area, SIZE)
