"""Against outputs of the official implementation with stand-in weights (../shared/golden)."""

import numpy as np
import pytest
import torch

from promise_seg.compat.official_sam import load_official_sam, transformers_name
from promise_seg.errors import CheckpointError
from promise_seg.prompting.prompts import Prompts

pytestmark = pytest.mark.slow


def thinned(embedding):
    """The part of an embedding that the golden file keeps: every 8th channel, row and column."""
    return embedding[::8, ::8, ::8]


def test_the_embedding(golden_sam, golden):
    expected = np.load(golden / "sam_vit_b.npz")["embedding"]
    np.testing.assert_allclose(thinned(golden_sam[1].embedding[0].numpy()), expected, atol=1e-3)


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("case", ["points", "box", "points_box_mask"])
def test_masks_and_iou(golden_sam, golden, case, multimask):
    sam, features = golden_sam
    data = np.load(golden / "sam_vit_b.npz")
    prompts = Prompts(
        points_xy=torch.from_numpy(data["points_xy"])[None] if "points" in case else None,
        point_labels=torch.from_numpy(data["labels"])[None] if "points" in case else None,
        boxes_xyxy=torch.from_numpy(data["box_xyxy"])[None] if "box" in case else None,
        mask_logits=torch.from_numpy(data["mask_input"]).float() if "mask" in case else None,
    )
    decoded = sam.decode(features.embedding, prompts, multimask=multimask)
    name = f"{case}_multi{int(multimask)}"
    np.testing.assert_allclose(decoded.mask_logits[0, 0, :, ::4, ::4].numpy(), data[f"{name}_logits"], atol=2e-3)
    np.testing.assert_allclose(decoded.iou[0, 0].numpy(), data[f"{name}_iou"], atol=2e-3)


def test_missing_and_unexpected_keys_are_named(official_file, tmp_path):
    state = torch.load(official_file, weights_only=True)
    state["mask_decoder.extra"] = state.pop("mask_decoder.iou_token.weight")
    path = tmp_path / "broken.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"missing keys: .*iou_token.*unexpected keys: .*extra"):
        load_official_sam(path)


def test_names_of_every_part():
    assert transformers_name("image_encoder.blocks.3.norm1.weight") == "vision_encoder.layers.3.layer_norm1.weight"
    assert transformers_name("mask_decoder.transformer.norm_final_attn.bias").endswith("layer_norm_final_attn.bias")
