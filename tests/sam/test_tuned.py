"""Freeze levels: only what was asked for learns, and the SAM it was made from keeps its bytes."""

import pytest
import torch

from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.prompts import Prompts
from promise_seg.sam.tuned import TunedSam
from promise_seg.vocabulary import TrainAlso
from tests.helpers import some_points

LEVELS = [level for level in TrainAlso if level != TrainAlso.NONE]


def learn_once(sam: TunedSam, images: torch.Tensor) -> set[str]:
    """One step on anything; returns the parts whose weights moved."""
    before = {name: p.detach().clone() for name, p in sam.named_parameters()}
    optimizer = torch.optim.SGD([p for p in sam.parameters() if p.requires_grad], lr=1.0)
    decoded = sam.decode(sam.encode(images), some_points())
    (decoded.mask_logits.square().mean() + decoded.iou.square().mean()).backward()
    optimizer.step()
    return {name.split(".")[1] for name, p in sam.named_parameters() if not torch.equal(p, before[name])}


@pytest.mark.parametrize("level", LEVELS)
def test_a_step_moves_only_the_parts_of_the_level(level, tiny_sam, images):
    tuned = TunedSam(tiny_sam, level).train()
    assert learn_once(tuned, images) == set(level.parts)
    assert weights_sha256(tiny_sam.model) == tiny_sam.sha256
    assert not any(p.requires_grad for p in tiny_sam.parameters())


@pytest.mark.parametrize("level", LEVELS)
def test_untrained_it_is_the_same_sam(level, tiny_sam, images):
    tuned = TunedSam(tiny_sam, level)
    with torch.no_grad():
        ours = tuned.decode(tuned.encode(images), some_points())
        theirs = tiny_sam.decode(tiny_sam.encode(images), some_points())
    # the copies lie elsewhere in memory, which changes the last digits
    torch.testing.assert_close(ours.mask_logits, theirs.mask_logits, rtol=0, atol=1e-5)
    assert tuned.sha256 == tiny_sam.sha256


def test_parts_that_do_not_learn_are_shared(tiny_sam):
    tuned = TunedSam(tiny_sam, TrainAlso.DECODER)
    assert tuned.model.vision_encoder is tiny_sam.model.vision_encoder
    assert tuned.model.mask_decoder is not tiny_sam.model.mask_decoder


@pytest.mark.parametrize("level", LEVELS)
def test_the_code_of_positions_never_learns(level, tiny_sam):
    tuned = TunedSam(tiny_sam, level).train()
    learning = {name for name, p in tuned.named_parameters(remove_duplicate=False) if p.requires_grad}
    assert learning
    assert not any("positional_embedding" in name for name in learning)


def test_evaluation_mode_is_followed_and_the_rest_stays_in_it(tiny_sam):
    tuned = TunedSam(tiny_sam, TrainAlso.DECODER).train()
    assert tuned.model.mask_decoder.training
    assert not tuned.model.vision_encoder.training
    assert not tuned.eval().model.mask_decoder.training


def test_gradients_reach_the_encoder_only_if_it_learns(tiny_sam, images):
    assert TunedSam(tiny_sam, TrainAlso.EVERYTHING).train().encode(images).embedding.requires_grad
    assert not TunedSam(tiny_sam, TrainAlso.DECODER).train().encode(images).embedding.requires_grad
    with torch.no_grad():
        assert not TunedSam(tiny_sam, TrainAlso.EVERYTHING).encode(images).embedding.requires_grad


def test_no_prompts_at_all_still_work(tiny_sam, images):
    tuned = TunedSam(tiny_sam, TrainAlso.PROMPT_ENCODER)
    assert torch.isfinite(tuned.decode(tuned.encode(images), Prompts()).mask_logits).all()
