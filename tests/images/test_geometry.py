import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from promise_seg.images.geometry import Box, Geometry, shrink_mask
from promise_seg.vocabulary import Fit

SIZES = [(288, 384), (384, 288), (100, 100), (37, 211), (600, 450)]


def blob(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.hypot((x / width - 0.55) / 0.3, (y / height - 0.45) / 0.25) < 1


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_points_go_there_and_back_to_half_a_pixel(height, width, fit):
    geometry = Geometry(height, width, 128, fit)
    points = np.random.default_rng(0).uniform(0, 1, (50, 2)).astype(np.float32) * [width - 1, height - 1]
    there = geometry.points_to_model(points)
    assert ((there >= -0.5) & (there <= 127.5)).all()
    assert np.abs(geometry.points_to_image(there) - points).max() < 0.5


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_masks_go_there_and_back_up_to_resampling(height, width, fit):
    geometry = Geometry(height, width, 128, fit)
    mask = blob(height, width)
    logits = torch.from_numpy(geometry.mask_to_model(mask).astype(np.float32)) * 20 - 10
    back = (geometry.logits_to_image(logits) > 0).numpy()
    assert back.shape == mask.shape
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.95


@pytest.mark.parametrize("fit", list(Fit))
def test_points_and_masks_move_together(fit):
    geometry = Geometry(90, 160, 128, fit)
    mask = np.zeros((90, 160), bool)
    mask[20:40, 100:130] = True
    rows, columns = np.nonzero(geometry.mask_to_model(mask))
    centre = geometry.points_to_model(np.array([[114.5, 29.5]], np.float32))[0]
    np.testing.assert_allclose([columns.mean(), rows.mean()], centre, atol=0.6)


@pytest.mark.parametrize(("seam", "edge"), [(12, 3), (14, 3), (15, 4), (16, 4)])
def test_a_pixel_of_a_smaller_map_is_of_the_object_at_its_centre(seam, edge):
    """Each pixel takes the place of four, and its centre is where the third of them begins."""
    labels = np.ones((32, 32), np.uint16)
    labels[:, seam:] = 2
    found = Geometry(32, 32, 8).labels_to_model(labels)
    assert found[0].tolist() == [1] * edge + [2] * (8 - edge)
    assert np.array_equal(found, Geometry(32, 32, 8).labels_to_model(labels.T).T)


def test_padding_lies_right_or_below_and_is_black():
    geometry = Geometry(50, 100, 128, Fit.PAD)
    image = geometry.image_to_model(np.full((50, 100, 3), 200, np.uint8))
    assert (image[:64] == 200).all()
    assert (image[64:] == 0).all()


def test_stretching_fills_the_frame():
    image = Geometry(50, 100, 128, Fit.STRETCH).image_to_model(np.full((50, 100, 3), 200, np.uint8))
    assert (image == 200).all()


def test_many_masks_at_once():
    logits = torch.randn(2, 3, 16, 16)
    geometry = Geometry(20, 30, 64)
    together = geometry.logits_to_image(logits)
    assert together.shape == (2, 3, 20, 30)
    torch.testing.assert_close(together[1, 2], geometry.logits_to_image(logits[1, 2]))


def test_shrunk_masks_hold_shares():
    mask = torch.zeros(1, 4, 4)
    mask[0, 0, 0] = 1
    assert shrink_mask(mask, 2)[0].tolist() == [[0.25, 0.0], [0.0, 0.0]]


@st.composite
def geometries(draw):
    """Any image up to 5000 x 3000, with a border to crop or none, in a model frame of any usual side."""
    height, width = draw(st.integers(1, 3000)), draw(st.integers(1, 5000))
    crop = None
    if draw(st.booleans()):
        left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        crop = Box(left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))
    return Geometry(height, width, draw(st.sampled_from([128, 256, 1024])), draw(st.sampled_from(list(Fit))), crop)


@pytest.mark.slow
@given(geometries(), st.integers(0, 2**32 - 1))
@settings(max_examples=400, deadline=None)
def test_points_and_boxes_go_both_ways_for_any_size(geometry, seed):
    kept, content = geometry.kept, geometry.content
    rng = np.random.default_rng(seed)
    points = rng.uniform((kept.left - 0.5, kept.top - 0.5), (kept.right - 0.5, kept.bottom - 0.5), (20, 2))
    points = points.astype(np.float32)
    there = geometry.points_to_model(points)
    assert (there >= np.array(content[:2]) - 0.51).all()
    assert (there <= np.array(content[2:]) - 0.49).all()
    assert np.abs(geometry.points_to_image(there) - points).max() < 0.5
    boxes = points.reshape(10, 4)
    assert np.abs(geometry.box_to_image(geometry.box_to_model(boxes)) - boxes).max() < 0.5


@st.composite
def objects(draw):
    """A geometry and an ellipse of more than 50 px across, both ways, in its model frame."""
    geometry = draw(geometries())
    content = geometry.content
    width, height = content.right - content.left, content.bottom - content.top
    assume(min(width, height) > 56)
    radii = np.array([draw(st.floats(26, (size - 3) / 2)) for size in (width, height)])
    room = np.array([width, height]) - 2 * radii
    centre = np.array(content[:2]) + radii + room * [draw(st.floats(0, 1)) for _ in range(2)] - 0.5
    return geometry, centre, radii


def drawn(geometry, centre, radii):
    """The ellipse in the image frame, every pixel centre judged by where it lies in the model frame."""
    x = geometry.points_to_model(np.stack([np.arange(geometry.width), np.zeros(geometry.width)], 1))[:, 0]
    y = geometry.points_to_model(np.stack([np.zeros(geometry.height), np.arange(geometry.height)], 1))[:, 1]
    kept, mask = geometry.kept, np.zeros((geometry.height, geometry.width), bool)
    inside = ((x - centre[0]) / radii[0])[None] ** 2 + ((y - centre[1]) / radii[1])[:, None] ** 2 < 1
    part = slice(kept.top, kept.bottom), slice(kept.left, kept.right)
    mask[part] = inside[part]
    return mask


@pytest.mark.slow
@given(objects())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_masks_go_there_and_back_for_any_size(case):
    geometry, centre, radii = case
    mask = drawn(geometry, centre, radii)
    assume(mask.any())  # an image of a few pixels may have none inside
    there = torch.from_numpy(geometry.mask_to_model(mask))
    back = geometry.logits_to_image(torch.where(there, 1.0, -1.0)).numpy() > 0
    assert back.shape == mask.shape
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) >= 0.98


@given(objects())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_points_and_masks_agree_for_any_size(case):
    """The centre of an object's pixels, taken to the model frame, is the centre of its mask there."""
    geometry, centre, radii = case
    mask = drawn(geometry, centre, radii)
    assume(mask.sum() > 4)
    rows, columns = np.nonzero(mask)
    there = geometry.points_to_model(np.array([columns.mean(), rows.mean()], np.float32))
    rows, columns = np.nonzero(geometry.mask_to_model(mask))
    pixel = max(geometry.points_to_model(np.ones(2, np.float32)) - geometry.points_to_model(np.zeros(2, np.float32)))
    np.testing.assert_allclose([columns.mean(), rows.mean()], there, atol=1 + 0.1 * pixel)


@pytest.mark.parametrize("fit", list(Fit))
def test_what_was_cropped_away_is_background(fit):
    geometry = Geometry(90, 160, 128, fit, Box(30, 20, 130, 80))
    logits = geometry.logits_to_image(torch.full((32, 32), 5.0))
    assert logits.shape == (90, 160)
    inside = torch.zeros(90, 160, dtype=torch.bool)
    inside[20:80, 30:130] = True
    assert torch.equal(logits > 0, inside)


def test_square_pads_on_both_sides():
    image = Geometry(50, 100, 128, Fit.SQUARE).image_to_model(np.full((50, 100, 3), 200, np.uint8))
    assert (image[32:96] == 200).all()
    assert not image[:32].any()
    assert not image[96:].any()


def test_an_axis_that_shrinks_is_averaged_though_the_other_grows():
    """A picture of stripes, one pixel each, much wider than high, becomes grey, not stripes."""
    stripes = np.zeros((4, 4096, 3), np.uint8)
    stripes[:, ::2] = 200
    seen = Geometry(4, 4096, 128).image_to_model(stripes)
    assert np.abs(seen.astype(int) - 100).max() <= 1
