"""Against outputs of the official implementation with stand-in weights (../shared/golden)."""

import numpy as np
import pytest
import torch
from transformers import SamConfig, SamModel, SamVisionConfig

from promise_seg.errors import CheckpointError
from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.known import KNOWN_SAMS
from promise_seg.sam.official import (
    config_from_shapes,
    official_name,
    official_state,
    sam_from_state,
    transformers_name,
)
from promise_seg.sam.official_files import load_official
from promise_seg.sam.prompts import Prompts


def thinned(embedding):
    """The part of an embedding that the golden file keeps: every 8th channel, row and column."""
    return embedding[::8, ::8, ::8]


@pytest.mark.slow
def test_the_embedding(golden_sam, golden):
    expected = np.load(golden / "sam_vit_b.npz")["embedding"]
    np.testing.assert_allclose(thinned(golden_sam[1].embedding[0].numpy()), expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("case", ["points", "box", "points_box_mask"])
def test_masks_and_iou(golden_sam, golden, case, multimask):
    sam, features = golden_sam
    data = np.load(golden / "sam_vit_b.npz")
    prompts = Prompts(
        points_xy_model=torch.from_numpy(data["points_xy"])[None] if "points" in case else None,
        point_labels=torch.from_numpy(data["labels"])[None] if "points" in case else None,
        boxes_xyxy_model=torch.from_numpy(data["box_xyxy"])[None] if "box" in case else None,
        mask_logits=torch.from_numpy(data["mask_input"]).float() if "mask" in case else None,
    )
    decoded = sam.decode(features, prompts, multimask=multimask)
    name = f"{case}_multi{int(multimask)}"
    np.testing.assert_allclose(decoded.mask_logits[0, 0, :, ::4, ::4].numpy(), data[f"{name}_logits"], atol=2e-3)
    np.testing.assert_allclose(decoded.iou[0, 0].numpy(), data[f"{name}_iou"], atol=2e-3)


@pytest.mark.slow
def test_missing_and_unexpected_keys_are_named(official_file, tmp_path):
    state = torch.load(official_file, weights_only=True)
    state["mask_decoder.extra"] = state.pop("mask_decoder.iou_token.weight")
    path = tmp_path / "broken.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"1 missing: .*iou_token.*1 unexpected: .*extra"):
        load_official(path)


def test_names_of_every_part():
    assert transformers_name("image_encoder.blocks.3.norm1.weight") == "vision_encoder.layers.3.layer_norm1.weight"
    assert transformers_name("mask_decoder.transformer.norm_final_attn.bias").endswith("layer_norm_final_attn.bias")


@pytest.mark.slow
def test_every_name_goes_both_ways(golden_state):
    names = list(golden_state("sam_vit_b"))
    assert [official_name(transformers_name(name)) for name in names] == names


def test_a_sam_under_the_official_names_is_the_same_sam(tiny_sam):
    again, notes = sam_from_state(official_state(tiny_sam.model), "here")
    assert weights_sha256(again) == tiny_sam.sha256
    assert notes == ()


def test_the_sam_inside_sam_hq_is_taken_out(tiny_sam):
    extras = {
        f"mask_decoder.{name}": torch.ones(3)
        for name in ("hf_token.weight", "hf_mlp.layers.0.weight", "compress_vit_feat.0.weight",
                     "embedding_encoder.0.weight", "embedding_maskfeature.0.bias")
    }  # fmt: skip
    again, notes = sam_from_state(official_state(tiny_sam.model) | extras, "here")
    assert weights_sha256(again) == tiny_sam.sha256
    assert "5 parameters of SAM-HQ left out" in notes[0]


def test_sam_med2d_loads_without_adapters_and_is_refused_with_them(tiny_sam, tmp_path):
    state = official_state(tiny_sam.model)
    path = tmp_path / "sam-med2d_b.pth"
    torch.save({"model": state, "optimizer": {"lr": 1.0}}, path)
    again, notes = load_official(path)
    assert weights_sha256(again) == tiny_sam.sha256
    assert notes == ("taken from under 'model'",)
    torch.save({"model": state | {"image_encoder.blocks.0.Adapter.channel.0.weight": torch.ones(2)}}, path)
    with pytest.raises(CheckpointError, match=r"1 unexpected: image_encoder.blocks.0.Adapter.*without adapters"):
        load_official(path)


def test_another_shape_is_named_with_both_shapes(tiny_sam):
    state = official_state(tiny_sam.model)
    state["mask_decoder.iou_token.weight"] = torch.ones(2, 16)
    with pytest.raises(CheckpointError, match=r"iou_token.weight is \(2, 16\), expected \(1, 16\)"):
        sam_from_state(state, "here")


@pytest.mark.parametrize(
    ("name", "width", "depth", "heads", "global_blocks"),
    [
        ("sam_vit_b", 768, 12, 12, [2, 5, 8, 11]),
        ("sam_vit_l", 1024, 24, 16, [5, 11, 17, 23]),
        ("sam_vit_h", 1280, 32, 16, [7, 15, 23, 31]),
    ],
)
def test_the_architecture_of_each_official_size_is_read_off_its_shapes(name, width, depth, heads, global_blocks):
    vision = SamVisionConfig(
        hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, global_attn_indexes=global_blocks,
        mlp_dim=4 * width,
    )  # fmt: skip
    with torch.device("meta"):  # shapes without memory
        model = SamModel(SamConfig(vision_config=vision.to_dict()))
    state = {official_name(k): v for k, v in model.state_dict().items() if not k.startswith("shared_image_embedding")}
    found = config_from_shapes(state).vision_config
    assert (found.hidden_size, found.num_hidden_layers, found.num_attention_heads) == (width, depth, heads)
    assert (found.global_attn_indexes, found.window_size, found.image_size) == (global_blocks, 14, 1024)
    millions = round(sum(p.numel() for p in model.parameters()) / 1e6)
    assert f"{millions} million parameters" in KNOWN_SAMS[name].about
