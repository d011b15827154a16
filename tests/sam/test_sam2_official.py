"""Official files of SAM 2 and 2.1, and what is near them."""

import pytest
import torch
from safetensors.torch import save_file
from transformers import Sam2Config, Sam2Model

from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.sam import sam2_official
from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.loading import load_sam
from promise_seg.sam.sam2_official import (
    HIERA_SIZES,
    official_sam2_name,
    official_sam2_state,
    sam2_config_from_shapes,
    sam2_from_state,
    sam2_name,
)
from tests.sam.tiny import SIDE, TINY_HIERA, tiny_sam2

VIDEO = {
    "maskmem_tpos_enc": torch.ones(7, 1, 1, 4),
    "no_mem_pos_enc": torch.ones(1, 1, 16),
    "no_obj_ptr": torch.ones(1, 16),
    "mask_downsample.weight": torch.ones(1, 1, 4, 4),
    "memory_attention.norm.weight": torch.ones(16),
    "memory_encoder.out_proj.bias": torch.ones(4),
    "obj_ptr_proj.layers.0.weight": torch.ones(16, 16),
}
ONLY_IN_2_1 = {"no_obj_embed_spatial": torch.ones(1, 4), "obj_ptr_tpos_proj.weight": torch.ones(4, 16)}


@pytest.fixture(scope="module")
def model():
    return tiny_sam2()


@pytest.fixture(autouse=True)
def _tiny_is_a_size(monkeypatch):
    monkeypatch.setattr(sam2_official, "HIERA_SIZES", (*HIERA_SIZES, TINY_HIERA))


@pytest.fixture
def state(model):
    return {name: value.clone() for name, value in official_sam2_state(model).items()}


def test_every_name_goes_both_ways(model):
    names = list(official_sam2_state(model))
    assert [official_sam2_name(sam2_name(name)) for name in names if "point_embeddings" not in name] == [
        name for name in names if "point_embeddings" not in name
    ]
    assert sum("point_embeddings" in name for name in names) == 4


def test_a_sam_2_under_the_official_names_is_the_same_sam_2(model, state):
    again, notes = sam2_from_state(state, "here")
    assert weights_sha256(again) == weights_sha256(model)
    assert notes == ()


@pytest.mark.parametrize("wrapper", [None, "model"])
@pytest.mark.parametrize("prefix", ["", "sam2."])
def test_a_file_loads_without_its_parts_for_videos(model, state, tmp_path, wrapper, prefix):
    content = {f"{prefix}{name}": value for name, value in (state | VIDEO | ONLY_IN_2_1).items()}
    torch.save({wrapper: content} if wrapper else content, tmp_path / "sam2.1_hiera_tiny.pt")
    sam = load_sam(str(tmp_path / "sam2.1_hiera_tiny.pt"), image_size=SIDE)
    assert sam.sha256 == weights_sha256(model)
    assert f"{len(VIDEO) + 2} parameters for videos left out" in sam.notes


def test_a_file_of_safetensors_loads(model, state, tmp_path):
    save_file(state, tmp_path / "sam2.safetensors")
    assert load_sam(str(tmp_path / "sam2.safetensors")).sha256 == weights_sha256(model)


def test_sam_2_0_is_told_by_the_two_parts_that_it_lacks(state, tmp_path):
    torch.save({"model": state | VIDEO}, tmp_path / "sam2_hiera_tiny.pt")
    (note,) = [note for note in load_sam(str(tmp_path / "sam2_hiera_tiny.pt")).notes if "SAM 2.0" in note]
    assert "no no_obj_embed_spatial and no obj_ptr_tpos_proj, which SAM 2.1 has" in note


def test_the_memory_of_a_video_model_alone_is_refused(tmp_path):
    torch.save({"model": VIDEO | ONLY_IN_2_1}, tmp_path / "memory.pt")
    with pytest.raises(CheckpointError, match=r"only the parts .* through videos \(mask_downsample, .*image_encoder"):
        load_sam(str(tmp_path / "memory.pt"))


def test_what_does_not_fit_is_named_as_the_file_names_it(state):
    del state["sam_mask_decoder.iou_token.weight"]
    state["sam_prompt_encoder.point_embeddings.2.weight"] = torch.ones(2, 16)
    with pytest.raises(CheckpointError, match=r"missing: sam_mask_decoder.iou_token.weight; 1 of another shape: sam_p"):
        sam2_from_state(state, "here")


def test_a_size_that_nobody_published_lists_those_that_were(state, monkeypatch):
    monkeypatch.setattr(sam2_official, "HIERA_SIZES", HIERA_SIZES)
    with pytest.raises(CheckpointError, match=r"has width 8 and 1/2/3/1 blocks; expected one of tiny \(96, 1/2/7/2\)"):
        sam2_from_state(state, "here")


def test_names_of_the_library_in_a_file_need_its_folder(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="Give the folder instead"):
        load_sam(str(tmp_path / "model.pt"))


def test_the_official_file_of_edgetam_says_what_to_give(tmp_path):
    torch.save({"image_encoder.trunk.body.stem.weight": torch.ones(2)}, tmp_path / "edgetam.pt")
    with pytest.raises(CheckpointError, match="EdgeTAM under its official names"):
        load_sam(str(tmp_path / "edgetam.pt"))


@pytest.mark.parametrize(
    ("number", "millions", "background"), [(0, 39, 7), (1, 46, 7), (2, 81, 14), (3, 224, 7)], ids=["t", "s", "b+", "l"]
)
def test_the_architecture_of_each_published_size_is_read_off_its_shapes(number, millions, background):
    """The numbers of parameters are those of the official README, which counts the parts for videos too."""
    size = HIERA_SIZES[number]
    widths = [size.width * 2**i for i in range(4)]
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": size.width, "num_attention_heads": size.heads,
        "blocks_per_stage": list(size.blocks),
        "embed_dim_per_stage": widths, "num_attention_heads_per_stage": [size.heads * 2**i for i in range(4)],
        "window_size_per_stage": list(size.windows), "global_attention_blocks": list(size.global_blocks),
        "window_positional_embedding_background_size": [background] * 2,
    }  # fmt: skip
    with torch.device("meta"):
        config = Sam2Config(vision_config={"backbone_config": backbone, "backbone_channel_list": widths[::-1]})
        made = Sam2Model(config)
        state = official_sam2_state(made)
    found = sam2_config_from_shapes(state, "here")
    assert found.vision_config.backbone_config.to_dict() == config.vision_config.backbone_config.to_dict()
    assert found.vision_config.backbone_channel_list == widths[::-1]
    parameters = sum(p.numel() for p in made.parameters()) / 1e6
    assert 0 <= millions - parameters < 8  # the memory has 7 million


@pytest.mark.parametrize("size", [32, 128])
def test_it_runs_at_other_sizes(model, tmp_path, size):
    model.save_pretrained(tmp_path)
    if size < SIDE:
        with pytest.raises(SettingsError, match="expected a multiple of 32 for this SAM, and at least 64"):
            load_sam(str(tmp_path), image_size=size)
        return
    sam = load_sam(str(tmp_path), image_size=size)
    assert (sam.image_size, sam.trained_at, sam.mask_side) == (size, SIDE, size // 4)
    assert sam.sha256 == weights_sha256(model)
    features = sam.encode(torch.zeros(1, size, size, 3))
    assert sam.decode(features, load_prompts(size)).mask_logits.shape[-1] == size // 4


def load_prompts(size):
    from promise_seg.sam.prompts import Prompts

    return Prompts(boxes_xyxy_model=torch.tensor([[[4.0, 4.0, size - 8.0, size - 8.0]]]))
