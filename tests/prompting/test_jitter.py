import numpy as np
import pytest
import torch

from promise_seg.prompting.jitter import jittered
from promise_seg.sam.prompts import Prompts
from tests.helpers import TINY_SIDE, some_points


def test_jitter_is_as_large_as_it_says_and_stays_in_the_frame():
    prompts = Prompts(
        points_xy_model=torch.full((1, 1, 4000, 2), 50.0), point_labels=torch.ones(1, 1, 4000, dtype=torch.long)
    )
    moved = jittered(prompts, 5.0, 101, np.random.default_rng(0))
    assert float((moved.points_xy_model - 50).std()) == pytest.approx(5, rel=0.05)
    edge = jittered(
        Prompts(points_xy_model=prompts.points_xy_model * 0, point_labels=prompts.point_labels),
        5.0,
        101,
        np.random.default_rng(0),
    )
    assert float(edge.points_xy_model.min()) == 0


def test_draws_are_sets_that_differ_and_keep_their_labels():
    prompts = some_points(2)
    moved = jittered(prompts, 1.0, TINY_SIDE, np.random.default_rng(0), draws=3)
    assert moved.points_xy_model.shape == (2, 3, 4, 2)
    assert not torch.equal(moved.points_xy_model[:, 0], moved.points_xy_model[:, 1])
    assert torch.equal(moved.point_labels, prompts.point_labels.expand(-1, 3, -1))


def test_boxes_stay_in_the_frame_and_keep_their_corners_in_order():
    corners = torch.tensor([[[0.0, 0, 0, 0], [100, 100, 100, 100], [20, 30, 40, 50]]])
    moved = jittered(Prompts(boxes_xyxy_model=corners), 5.0, 101, np.random.default_rng(0), draws=100).boxes_xyxy_model
    assert (moved[..., 2:] - moved[..., :2] > 0.999).all()
    assert 0 <= moved.min() < moved.max() <= 100
    assert float((moved[0, 2::3] - corners[0, 2]).std()) == pytest.approx(5, rel=0.1)


def test_without_points_or_boxes_there_is_nothing_to_jitter():
    with pytest.raises(ValueError, match="only points and boxes"):
        jittered(Prompts(), 1.0, TINY_SIDE, np.random.default_rng(0))
