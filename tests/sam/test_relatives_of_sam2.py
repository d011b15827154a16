"""EdgeTAM and the tracker of SAM 3 against the library, and folders of models for videos."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.sam.frozen_sam2 import FINE, FINEST, FrozenSam2
from promise_seg.sam.kinds import KINDS
from promise_seg.sam.loading import load_sam
from promise_seg.sam.normalisation import HALF, PIXEL_MEAN, PIXEL_STD, normalise
from promise_seg.sam.prompts import Prompts
from tests.sam.tiny import TINY, tiny_sam2


@pytest.mark.parametrize("kind", ["edgetam", "sam3_tracker"])
def test_features_and_masks_are_the_library_s_own(kind):
    sam = FrozenSam2(TINY[kind](0), kind)
    side = sam.image_size
    picture = torch.randint(0, 256, (2, side, side, 3), generator=torch.Generator().manual_seed(0))
    scale = (HALF, HALF) if kind == "sam3_tracker" else (PIXEL_MEAN, PIXEL_STD)
    theirs = sam.model.get_image_embeddings(normalise(picture, *scale))
    features = sam.encode(picture)
    for found, expected in zip((FINEST, FINE, "embedding"), theirs, strict=True):
        torch.testing.assert_close(features.tensors[found], expected, atol=1e-4, rtol=1e-4)
    boxes = torch.tensor([[[4.0, 6.0, 30.0, 40.0]]]).expand(2, 1, 4).contiguous()
    expected = sam.model(image_embeddings=theirs, input_boxes=boxes)
    found = sam.decode(features, Prompts(boxes_xyxy_model=boxes))
    torch.testing.assert_close(found.mask_logits, expected.pred_masks, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.iou, expected.iou_scores, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.object_logits, expected.object_score_logits[..., 0], atol=1e-3, rtol=1e-3)


def saved_as(folder, model, model_type, more=None, fewer=()):
    """A folder of a model whose config says another type, with more weights, and without some."""
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": model_type}))
    state = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith(tuple(fewer))}
    save_file(state | (more or {}), folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


MEMORY = {
    "memory_attention.layer_norm.weight": torch.ones(16),
    "memory_temporal_positional_encoding": torch.ones(7, 1, 1, 4),
    "no_object_pointer": torch.ones(1, 16),
}


def test_a_folder_of_a_sam_2_for_videos_is_used_for_images(tmp_path, capsys):
    model = tiny_sam2()
    sam = load_sam(saved_as(tmp_path / "video", model, "sam2_video", MEMORY))
    assert sam.sha256 == FrozenSam2(model, "same").sha256
    assert "You are using a model of type" not in "".join(capsys.readouterr())


def test_a_folder_with_nothing_but_the_memory_is_refused(tmp_path):
    parts = ("vision_encoder.", "prompt_encoder.", "mask_decoder.", "shared_image", "no_memory_embedding")
    folder = saved_as(tmp_path / "memory", tiny_sam2(), "sam2_video", MEMORY, parts)
    with pytest.raises(CheckpointError, match=r"holds only the parts .* through videos"):
        load_sam(folder)


def test_a_model_of_another_type_lists_those_that_are_sams(tmp_path):
    folder = saved_as(tmp_path / "bert", tiny_sam2(), "bert")
    with pytest.raises(
        CheckpointError, match=r"is a model of type 'bert'; expected one of sam \(as facebook/sam-vit-b"
    ):
        load_sam(folder)


def test_a_sam_3_has_one_size(tmp_path):
    TINY["sam3_tracker"](0).save_pretrained(tmp_path)
    with pytest.raises(SettingsError, match="--image-size 112: a SAM 3 takes images of 56 px alone"):
        load_sam(str(tmp_path), image_size=112)


def test_edgetam_runs_at_another_size(tmp_path):
    TINY["edgetam"](0).save_pretrained(tmp_path)
    sam = load_sam(str(tmp_path), image_size=96)
    decoded = sam.decode(sam.encode(torch.zeros(1, 96, 96, 3)), Prompts())
    assert decoded.mask_logits.shape[-1] == sam.mask_side == 24


def test_edgetam_without_timm_says_what_is_missing(tmp_path, monkeypatch):
    folder = saved_as(tmp_path / "edge", TINY["edgetam"](0), "edgetam")
    config = json.loads((tmp_path / "edge/config.json").read_text())
    config["vision_config"]["backbone_config"] = {
        "model_type": "timm_wrapper", "architecture": "repvit_m1",
        "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    }  # fmt: skip
    (tmp_path / "edge/config.json").write_text(json.dumps(config))
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(
        CheckpointError, match=r"needs a package that is not installed.*pip install 'promise-seg\[edgetam\]'"
    ):
        load_sam(folder)


def test_every_kind_has_a_class_in_the_library():
    import transformers

    assert all(hasattr(transformers, kind.class_name) for kind in KINDS.values())
