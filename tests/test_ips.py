from dataclasses import replace

import numpy as np
import pytest
import torch

from promise_seg.ips import GivenShift, PatternShift
from promise_seg.sam.prompts import Prompts
from tests.helpers import some_points


def test_untrained_it_shifts_nothing():
    shift = PatternShift(16, 4)(torch.randn(3, 16, 8, 8))
    assert shift.shape == (3, 4, 16)
    assert shift.abs().max() == 0


def test_trained_it_shifts_image_by_image():
    ips = PatternShift(16, 4)
    torch.nn.init.normal_(ips.lin2.weight)
    shift = ips(torch.randn(2, 16, 8, 8))
    assert not torch.allclose(shift[0], shift[1])


def test_the_shift_for_given_prompts_depends_on_their_form_once_it_is_trained():
    embedding = torch.randn(2, 16, 8, 8)
    given = GivenShift(16, 4)
    torch.nn.init.normal_(given.lin2.weight)
    box = torch.tensor([[[4.0, 4, 20, 20]]]).expand(2, -1, -1)
    points = {count: some_points(2, count=count) for count in (1, 4, 16, 40)}
    forms = [*points.values(), Prompts(boxes_xyxy_model=box), replace(points[1], boxes_xyxy_model=box)]
    untrained = [given(embedding, prompts) for prompts in forms]
    assert all(torch.equal(one, untrained[0]) for one in untrained)
    torch.nn.init.normal_(given.by_form.weight)
    one, few, many, more, boxed, both = (given(embedding, prompts) for prompts in forms)
    shifts = [one, few, many, boxed, both]
    assert all(not torch.allclose(shifts[i], shifts[j]) for i in range(5) for j in range(i))
    assert torch.equal(many, more), "no model is trained with more than 16 points"
    padded = Prompts(
        points_xy_model=points[4].points_xy_model,
        point_labels=points[4].point_labels.where(torch.arange(4) < 1, torch.tensor(-10)),
    )
    assert torch.equal(given(embedding, padded), one), "points that only pad do not count"


@pytest.mark.slow
def test_it_gives_the_reference_s_masks(golden_sam, golden_state, golden):
    sam, features = golden_sam
    expected = np.load(golden / "ips_gt.npz")
    state = {k.removeprefix("ips_ffn."): v for k, v in golden_state("ips_gt").items() if k.startswith("ips_ffn.")}
    ips = PatternShift(256, 4)
    ips.load_state_dict(state)
    prompts = Prompts(
        points_xy_model=torch.from_numpy(expected["points_xy"])[None, None],
        point_labels=torch.from_numpy(expected["labels"])[None, None],
    )
    with torch.no_grad():
        decoded = sam.decode(features, prompts, ips(features.embedding))
    mask_probs = decoded.mask_logits[0, 0].sigmoid().numpy()
    np.testing.assert_allclose(mask_probs[:, ::4, ::4], expected["mask_probs"], atol=2e-3)
    np.testing.assert_allclose(mask_probs[0], expected["mask_probs_first"], atol=3e-3)
    np.testing.assert_allclose(decoded.iou[0, 0].numpy(), expected["iou"], atol=2e-3)
