"""The program of an export makes masks of logits as we do."""

import cv2
import numpy as np
import pytest
import torch

import predict_masks
import predict_prompts
from predict_frames import enlarge
from promise_seg.prompting.map_in_masks import with_map_as_asked
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.sam.prompts import Prompts
from tests.exporting.program.drawn import blobs


@pytest.mark.parametrize("seed", range(4))
def test_its_masks_for_clicks_are_mixed_with_the_map_as_ours(seed):
    rng = np.random.default_rng(seed)
    smooth = [cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), 2) for side in (24, 16)]
    points = np.append(rng.random((1, 5, 2)) * 63, [[[63.4, -0.4]]], 1).astype(np.float32)
    labels = rng.integers(0, 2, (1, 6))
    ours = with_map_as_asked(
        torch.from_numpy(smooth[0])[None, None, None], torch.from_numpy(smooth[1])[None],
        Prompts(points_xy_model=torch.from_numpy(points)[None], point_labels=torch.from_numpy(labels)[None],
                boxes_xyxy_model=torch.tensor([[[5.0, 9, 40, 50]]]) if seed % 2 else None), 0.4, 64,
    )  # fmt: skip
    boxes = np.array([[[5.0, 9, 40, 50]]], np.float32)[:, : seed % 2]
    its = predict_masks.with_map_as_asked(smooth[0], smooth[1], predict_prompts.Prompts(points, labels, boxes), 0.4, 64)
    np.testing.assert_allclose(its, ours[0, 0, 0].numpy(), atol=1e-5)
    wide = [enlarge(one, 24, 24) for one in smooth]
    assert np.isclose(its, 0.6 * wide[0] + 0.4 * wide[1], atol=1e-5).mean() < 0.95  # limits were set
    assert (np.isclose(its, wide[0], atol=1e-5)).any()


def test_too_many_objects_stay_as_the_map_has_them():
    saliency = np.full((4, 4), -3.0, np.float32)
    saliency[2:, 2:] = 5
    there = saliency > 0
    mixed = predict_masks.with_map(np.full((1, 8, 8), -9.0, np.float32), saliency, 0.25, there)
    assert mixed[0, -1, -1] == 5
    assert mixed[0, 0, 0] == pytest.approx(0.75 * -9 + 0.25 * -3)


STEPS = [
    {}, {"threshold": 0.7}, {"opening": 8}, {"opening": 11, "keep": "largest"}, {"closing": 9, "fill_holes": True},
    {"opening": 5, "closing": 40, "fill_holes": True, "keep": "largest", "threshold": 0.45}, {"threshold": 0.999},
]  # fmt: skip


@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_its_postprocessing_is_ours(steps):
    post = PostProcessing(**steps)
    for seed in range(5):
        probs = blobs(seed)
        np.testing.assert_array_equal(predict_masks.clean(probs, post.model_dump(mode="json")), post.mask(probs))
