"""Touching objects are told apart by the peaks of the distance map, and nothing that is salient is lost."""

import numpy as np
import pytest

from promise_seg.prompting.separating import depths, prompts_in_frame, separate, spread
from tests.instances.drawn import depth_of, discs


def test_objects_that_touch_are_told_apart_where_they_touch():
    labels = discs((10, 10, 6), (20, 10, 6))
    found = separate(labels > 0, depth_of(labels))
    assert len(found.rows) == 2
    assert found.regions[10, 10] != found.regions[10, 20]
    assert np.array_equal(found.regions > 0, labels > 0)
    agreeing = [np.mean(labels[found.regions == number] == number) for number in (1, 2)]
    assert min(agreeing) > 0.9


def test_a_peak_that_hardly_rises_is_part_of_the_higher_one():
    row = np.concatenate([np.linspace(0, 1, 11), np.linspace(0.95, 0.85, 4), np.linspace(0.88, 0, 11)])
    height = np.repeat(row[None].astype(np.float32), 5, 0)
    certain = height > 0
    assert len(separate(certain, height, prominence=0.1).rows) == 1
    assert len(separate(certain, height, prominence=0.02).rows) == 2


def test_each_part_of_the_foreground_is_an_object_even_without_a_peak():
    certain = np.zeros((20, 20), bool)
    certain[2:6, 2:6] = certain[10:14, 10:14] = certain[18, 18] = True
    distance = np.zeros((20, 20), np.float32)
    distance[3, 3] = 1
    found = separate(certain, distance)
    assert len(found.rows) == 3
    assert set(found.regions[certain]) == {1, 2, 3}


@pytest.mark.parametrize("pixels", [0, 1])
def test_nothing_holds_no_object_and_a_single_pixel_is_one(pixels):
    certain = np.zeros((9, 9), bool)
    certain[4, 5] = bool(pixels)
    found = separate(certain, np.full((9, 9), 0.3, np.float32))
    assert (len(found.rows), found.regions.sum(), found.boxes.shape) == (pixels, pixels, (pixels, 4))


def test_many_objects_are_all_found():
    labels = np.kron(np.arange(1, 2501).reshape(50, 50), np.ones((6, 6), int))
    labels[::6] = labels[:, ::6] = 0
    depth = np.tile(depth_of(np.pad(np.ones((5, 5), int), ((1, 0), (1, 0)))), (50, 50))
    found = separate(labels > 0, depth)
    assert len(found.rows) == 2500
    assert len(np.unique(labels[found.rows, found.columns])) == 2500


def test_the_deepest_place_stands_for_a_map_that_no_apm_made():
    labels = discs((8, 8, 5), (23, 22, 3))
    found = separate(labels > 0, depths(labels > 0))
    assert sorted(zip(found.columns.tolist(), found.rows.tolist(), strict=True)) == [(8, 8), (23, 22)]


def test_boxes_and_points_are_in_the_model_frame():
    boxes, points = prompts_in_frame(np.array([[1, 2, 3, 5]]), np.array([[2, 4]]), 4.0)
    assert boxes.tolist() == [[4, 8, 11, 19]]
    assert points.tolist() == [[9.5, 17.5]]


def test_regions_spread_to_the_nearest_cells_as_far_as_allowed():
    regions = np.zeros((9, 9), int)
    regions[4, 1], regions[4, 7] = 1, -1
    everywhere = spread(regions)
    assert np.array_equal(np.unique(everywhere[:, :4]), [1])
    assert np.array_equal(np.unique(everywhere[:, 5:]), [-1])
    near = spread(regions, 1.0)
    assert np.array_equal(np.argwhere(near == 1), [[3, 1], [4, 0], [4, 1], [4, 2], [5, 1]])
    assert np.array_equal(spread(np.zeros((3, 3), int)), np.zeros((3, 3), int))
