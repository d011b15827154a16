import numpy as np
import pytest
import torch

from promise_seg.data.geometry import Fit, Geometry, shrink_mask

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
