"""Outlines run between the pixels, around holes, and touch where pixels touch by a corner."""

import json

import numpy as np
import pytest
from PIL import Image

from promise_seg.images.formats.opening import open_source
from promise_seg.prediction.labelled import Labelled, LabelledSlice, Origin
from promise_seg.prediction.outputs.geojson import write_geojson

RING = ["......", ".####.", ".#..#.", ".#..#.", ".####.", "......"]
CORNERS = ["#...", ".#..", "..##", "...#"]
APART = ["##..", "##..", "...#", "...#"]


@pytest.fixture
def written(tmp_path):
    def write(rows):
        mask = np.array([[pixel == "#" for pixel in row] for row in rows])
        Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(tmp_path / "a.png")
        origin = Origin(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), 0.5)
        one = LabelledSlice(mask.astype(np.uint16), {1: origin})
        labelled = Labelled(open_source(tmp_path / "a.png"), (one,), {1: "gland"}, True, False)
        write_geojson(labelled, tmp_path / "a.geojson")  # which reads it back
        return json.loads((tmp_path / "a.geojson").read_text())["features"]

    return write


def area(ring):
    x, y = np.array(ring).T
    return abs(float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2))


def test_a_hole_is_a_ring_of_its_own(written):
    (feature,) = written(RING)
    outer, hole = feature["geometry"]["coordinates"]
    assert area(outer) == pytest.approx(16 - 4 / 8)  # corners are cut by half a pixel each way
    assert area(hole) == pytest.approx(4 - 4 / 8)
    assert np.array(outer).min(0).tolist() == [1, 1]
    assert np.array(outer).max(0).tolist() == [5, 5]


def test_pixels_that_touch_by_a_corner_are_one_object(written):
    assert len(written(CORNERS)) == 1


def test_parts_of_a_mask_are_annotations_each(written):
    features = written(APART)
    assert [one["properties"]["objectType"] for one in features] == ["annotation"] * 2
    assert {one["properties"]["classification"]["name"] for one in features} == {"gland"}


def test_the_same_labels_are_the_same_file(written):
    assert written(RING) == written(RING)
