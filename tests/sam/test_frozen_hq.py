"""SAM-HQ with its own token: the library's numbers, official files, and models of before that used the SAM inside."""

from contextlib import contextmanager

import pytest
import torch

from promise_seg.checkpoint import load_checkpoint, save_checkpoint
from promise_seg.errors import CheckpointError
from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.frozen_hq import FrozenSamHq
from promise_seg.sam.hq_official import hq_name, official_hq_name
from promise_seg.sam.loading import load_sam
from promise_seg.sam.normalisation import normalise
from promise_seg.sam.official import LIBRARY_POSITIONS, sam_from_state
from tests.helpers import make_model, some_points
from tests.sam.tiny import tiny_sam_hq


@pytest.fixture(scope="module")
def sam():
    return FrozenSamHq(tiny_sam_hq(), "tiny hq")


@pytest.fixture
def state(sam):
    return {official_hq_name(k): v.clone() for k, v in sam.model.state_dict().items() if k != LIBRARY_POSITIONS}


@contextmanager
def mended(decoder):
    """The library's decoder, which makes its masks of the image before its transformer, turned, makes them of the image
    after it, as the official code does."""
    seen = []

    def keep(_module, _inputs, output):
        seen.append(output[1])

    def exchange(_module, inputs):
        keys = seen[-1]
        return (keys.transpose(2, 3).reshape(inputs[0].shape),)

    handles = [
        decoder.transformer.register_forward_hook(keep),
        decoder.upscale_conv1.register_forward_pre_hook(exchange),
    ]
    yield
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("multimask", [True, False])
def test_masks_are_the_library_s_own(sam, images, multimask):
    prompts = some_points(sets=2)
    with mended(sam.model.mask_decoder):
        theirs = sam.model(
            pixel_values=normalise(images),
            input_points=prompts.points_xy_model,
            input_labels=prompts.point_labels,
            multimask_output=multimask,
        )
    ours = sam.decode(sam.encode(images), prompts, multimask=multimask)
    iou, order = ours.iou.sort(2, descending=True)
    masks = ours.mask_logits.gather(2, order[..., None, None].expand_as(ours.mask_logits))
    torch.testing.assert_close(iou, theirs.iou_scores, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(masks, theirs.pred_masks, atol=1e-3, rtol=1e-3)


def test_its_own_token_matters_and_is_shifted(sam, images):
    features, prompts = sam.encode(images), some_points()
    assert sam.num_mask_tokens == 5
    shift = torch.zeros(2, 5, 16)
    shift[:, 4] = 3
    plain, shifted = (sam.decode(features, prompts, one).mask_logits for one in (None, shift))
    assert not torch.allclose(plain, shifted, atol=1e-2)


def test_every_name_goes_both_ways(sam, state):
    assert {hq_name(name) for name in state} == sam.model.state_dict().keys() - {LIBRARY_POSITIONS}
    assert len(state) == len(sam.model.state_dict()) - 1


def test_an_official_file_is_the_same_sam_hq(sam, state, tmp_path):
    torch.save(state, tmp_path / "sam_hq_vit_b.pth")
    again = load_sam(str(tmp_path / "sam_hq_vit_b.pth"))
    assert isinstance(again, FrozenSamHq)
    assert again.sha256 == sam.sha256
    assert again.notes == ()


def test_a_file_that_lacks_a_part_names_it(state, tmp_path):
    del state["mask_decoder.hf_mlp.layers.2.bias"]
    torch.save(state, tmp_path / "sam_hq.pth")
    with pytest.raises(CheckpointError, match=r"does not fit a SAM-HQ: 1 missing: mask_decoder\.hf_mlp\.layers\.2\.b"):
        load_sam(str(tmp_path / "sam_hq.pth"))


def test_the_light_one_has_another_encoder(state, tmp_path):
    light = {name: value for name, value in state.items() if not name.startswith("image_encoder.")}
    torch.save(light, tmp_path / "sam_hq_vit_tiny.pth")
    with pytest.raises(CheckpointError, match="the light SAM-HQ, ViT-tiny, has another encoder"):
        load_sam(str(tmp_path / "sam_hq_vit_tiny.pth"))


def test_it_runs_at_another_size(sam, state, tmp_path):
    torch.save(state, tmp_path / "sam_hq.pth")
    larger = load_sam(str(tmp_path / "sam_hq.pth"), image_size=64)
    assert (larger.image_size, larger.sha256) == (64, sam.sha256)
    assert larger.decode(larger.encode(torch.zeros(2, 64, 64, 3)), some_points()).mask_logits.shape[-1] == 64


def test_a_model_on_the_sam_inside_still_loads(sam, state, tmp_path):
    torch.save(state, tmp_path / "sam_hq.pth")
    inside = FrozenSam(sam_from_state(state, "here")[0], str(tmp_path / "sam_hq.pth"))
    assert inside.sha256 != sam.sha256
    save_checkpoint(make_model(inside), tmp_path / "model")
    model = load_checkpoint(tmp_path / "model")
    assert isinstance(model.sam, FrozenSam)
    assert weights_sha256(model.sam.model) == inside.sha256
