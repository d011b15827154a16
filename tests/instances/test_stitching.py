"""Objects of several tiles as those of one image: none is cut at a seam, lost or counted twice."""

import weakref

import numpy as np
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.geometry import Box
from promise_seg.images.tiles import Tiling
from promise_seg.instances import stitching
from promise_seg.instances.facts import facts_of
from promise_seg.instances.outlining import ObjectMask
from promise_seg.instances.painting import InstanceMap, paint
from promise_seg.instances.stitching import Stitcher
from tests.instances.drawn import discs

TILING = Tiling(side=64, overlap=20)


def scattered(seed, height=150, width=190, count=40, radius=(3, 8)):
    """Discs that do not touch, anywhere in an image, numbered from 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    labels = np.zeros((height, width), np.uint16)
    for _ in range(count):
        inside = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height))
        size = rng.uniform(*radius)
        if inside.min() < 1 and not labels[inside < size + 2].any():
            labels[inside < size] = labels.max() + 1
    return labels


def found_in(labels, score=0.9, shrunk=0):
    """What a model finds in a tile that is right: each object, cut where the tile ends."""
    objects = []
    for number in np.setdiff1d(labels, [0]):
        mask = labels == number
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        logits = np.where(mask[window], 5.0, -5.0).astype(np.float32)
        point = (float(columns.mean()), float(rows.mean()))
        objects.append(ObjectMask(int(columns[0]), int(rows[0]), logits, mask[window], score, point))
    return paint(objects, *labels.shape)


def stitched(labels, objects_of=found_in, tiling=TILING, rgb=None):
    """The map of an image (H, W), and its objects, by what is found in the labels of each tile."""
    height, width = labels.shape
    kept = Box(0, 0, width, height)
    rgb = np.zeros((height, width, 3), np.uint8) if rgb is None else rgb
    painted = np.zeros((height, width), np.uint16)
    stitcher, grid, waiting = Stitcher(painted, kept), tiling.grid(kept), []
    for number, boxes in enumerate(grid):
        for box in boxes:
            part = slice(box.top, box.bottom), slice(box.left, box.right)
            stitcher.add(box, objects_of(labels[part]), rgb[part])
        waiting.append(len(stitcher._waiting))
        stitcher.end_row(grid[number + 1][0].top if number + 1 < len(grid) else None)
    return painted, stitcher.finished(), waiting


def same_objects(found, truth):
    pairs = np.unique(np.stack([found.ravel(), truth.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(truth)) == len(np.unique(found))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("radius", [(3, 8), (12, 25)], ids=["small", "longer than the overlap"])
def test_objects_that_cross_seams_are_one_object_each(seed, radius):
    truth = scattered(seed, radius=radius)
    painted, objects, _ = stitched(truth)
    assert same_objects(painted, truth)
    assert len(objects) == truth.max()


def test_an_object_that_is_larger_than_a_tile_is_joined_of_its_parts():
    truth = np.zeros((200, 300), np.uint16)
    truth[90:100, 10:290] = 1
    truth[20:180, 150:160] = 1
    painted, objects, _ = stitched(truth)
    assert len(objects) == 1
    assert np.array_equal(painted, truth)


def test_objects_are_numbered_and_measured_as_those_of_one_image():
    truth = scattered(7)
    rgb = np.random.default_rng(0).integers(0, 255, (*truth.shape, 3)).astype(np.uint8)
    whole = found_in(truth)
    painted, objects, _ = stitched(truth, rgb=rgb)
    assert np.array_equal(painted, whole.labels)
    for one, other in zip(objects, facts_of(whole, rgb), strict=True):
        assert (one.id, one.area_pixels, one.box_xyxy) == (other.id, other.area_pixels, other.box_xyxy)
        assert one.centre_xy == pytest.approx(other.centre_xy)
        assert one.mean_intensity == pytest.approx(other.mean_intensity)


def test_touching_objects_stay_apart_across_a_seam():
    truth = np.zeros((64, 108), np.uint16)
    truth[:, :] = np.pad(discs((40, 32, 12), (62, 32, 12), side=108)[:64], 0)
    assert len(np.unique(truth)) == 3
    painted, _, _ = stitched(truth)
    assert same_objects(painted, truth)


def test_the_tile_that_shows_an_object_whole_is_right_about_it():
    """The left tile sees a part of the disc, and takes it for something twice as high."""
    truth = np.zeros((64, 108), np.uint16)
    truth[28:37, 57:75] = 1  # the left tile ends at 64, the right one begins at 44

    def objects_of(labels):
        if labels[:, -1].any():
            labels = labels.copy()
            labels[24:41, 57:] = 1
        return found_in(labels, score=0.99)

    painted, _, _ = stitched(truth, objects_of)
    assert np.array_equal(painted, truth)


def test_a_part_at_an_edge_that_another_tile_does_not_find_is_left_out():
    truth = np.zeros((64, 108), np.uint16)

    def objects_of(labels):
        if objects_of.calls == 0:
            labels = labels.copy()
            labels[20:30, 58:64] = 1
        objects_of.calls += 1
        return found_in(labels)

    objects_of.calls = 0
    painted, objects, _ = stitched(truth, objects_of)
    assert objects == ()
    assert not painted.any()


def test_an_object_of_one_pixel_and_an_empty_image():
    truth = np.zeros((150, 150), np.uint16)
    assert stitched(truth)[1] == ()
    truth[63, 63] = truth[0, 149] = 1
    truth[0, 149] = 2
    assert len(stitched(truth)[1]) == 2


def test_no_more_tiles_wait_of_a_high_image_than_of_a_low_one():
    low, high = (max(stitched(scattered(0, height, 108, 60))[2]) for height in (300, 900))
    assert low == high


def test_tiles_that_are_done_are_given_up():
    """Each row of tiles is linked with the next by an object, so that all of them hang together."""
    truth = np.zeros((900, 64), np.uint16)
    for number, top in enumerate(range(8, 890, 12), 1):
        truth[top : top + 6, 20:30] = number
    stitcher, grid = Stitcher(np.zeros_like(truth), Box(0, 0, 64, 900)), TILING.grid(Box(0, 0, 64, 900))
    pixels, held = [], []
    for number, (box,) in enumerate(grid):
        rgb = np.zeros((64, 64, 3), np.uint8)
        pixels.append(weakref.ref(rgb))
        stitcher.add(box, found_in(truth[box.top : box.bottom]), rgb)
        del rgb
        stitcher.end_row(grid[number + 1][0].top if number + 1 < len(grid) else None)
        held.append(sum(one() is not None for one in pixels))
    assert len(grid) > 15
    assert max(held) <= 2
    assert held[-1] == 0


def test_more_objects_than_16_bits_can_number(monkeypatch):
    monkeypatch.setattr(stitching, "MOST_OBJECTS", 5)
    with pytest.raises(ImageError, match=r"the image: more than 5 objects, .*--level"):
        stitched(scattered(0))


def test_maps_of_tiles_are_not_changed():
    tile = InstanceMap(np.ones((64, 64), np.uint16), found_in(np.ones((64, 64), np.uint16)).objects)
    stitcher = Stitcher(np.zeros((64, 64), np.uint16), Box(0, 0, 64, 64))
    stitcher.add(Box(0, 0, 64, 64), tile, np.zeros((64, 64, 3), np.uint8))
    stitcher.end_row(None)
    assert (tile.labels == 1).all()
    assert len(stitcher.finished()) == 1


@pytest.mark.parametrize("mistaken", range(4))
def test_a_tile_that_sees_two_objects_as_one_loses_neither_of_them(mistaken):
    """All four tiles show the lower object, and two of them the upper one."""
    truth = np.zeros((104, 104), np.uint16)
    truth[18:44, 44:60], truth[44:60, 44:60] = 1, 2
    seen = []

    def objects_of(labels):
        seen.append(labels)
        if len(seen) - 1 == mistaken:
            return found_in(np.where(labels > 0, 1, 0), score=0.8)
        return found_in(labels)

    painted, objects, _ = stitched(truth, objects_of, Tiling(side=64, overlap=24))
    assert same_objects(painted, truth)
    assert len(objects) == 2
