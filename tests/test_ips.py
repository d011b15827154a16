import numpy as np
import pytest
import torch

from promise_seg.ips import PatternShift
from promise_seg.sam.prompts import Prompts


def test_untrained_it_shifts_nothing():
    shift = PatternShift(16, 4)(torch.randn(3, 16, 8, 8))
    assert shift.shape == (3, 4, 16)
    assert shift.abs().max() == 0


def test_trained_it_shifts_image_by_image():
    ips = PatternShift(16, 4)
    torch.nn.init.normal_(ips.lin2.weight)
    shift = ips(torch.randn(2, 16, 8, 8))
    assert not torch.allclose(shift[0], shift[1])


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
