"""SAM 2 against the library, and where it follows the official predictor instead."""

import pytest
import torch
from torch.nn import functional as F

from promise_seg.sam.features import Features
from promise_seg.sam.frozen_sam2 import FINE, FINEST, FrozenSam2
from promise_seg.sam.normalisation import normalise
from promise_seg.sam.prompts import Prompts
from tests.sam.tiny import SIDE, tiny_sam2


@pytest.fixture(scope="module")
def sam():
    return FrozenSam2(tiny_sam2(), "tiny")


@pytest.fixture(scope="module")
def picture():
    return torch.randint(0, 256, (2, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def features(sam, picture) -> Features:
    return sam.encode(picture)


def some_points(sets: int = 2, count: int = 3) -> dict[str, torch.Tensor]:
    xy = torch.rand(2, sets, count, 2, generator=torch.Generator().manual_seed(1)) * SIDE
    return {"points_xy_model": xy, "point_labels": (torch.arange(count) % 2).expand(2, sets, count)}


BOXES = torch.tensor([[[8.0, 10.0, 40.0, 50.0]]]).expand(2, 2, 4).contiguous()


def check_same_but_for_rounding(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_encoding_is_the_library_s_own(sam, picture, features):
    finest, fine, coarse = sam.model.get_image_embeddings(normalise(picture))
    check_same_but_for_rounding(features.embedding, coarse)
    check_same_but_for_rounding(features.tensors[FINE], fine)
    check_same_but_for_rounding(features.tensors[FINEST], finest)


def test_stages_are_those_of_the_encoder_at_the_resolution_of_the_embedding(sam, picture, features):
    outputs = sam.model.vision_encoder.backbone(normalise(picture)).intermediate_hidden_states
    assert [out.shape[1] for out in outputs] == [16, 8, 4, 2]
    for number, factor in ((0, 4), (1, 2), (2, 1)):
        expected = F.avg_pool2d(outputs[number].permute(0, 3, 1, 2), factor).permute(0, 2, 3, 1)
        check_same_but_for_rounding(features.stage(number), expected)
    check_same_but_for_rounding(features.tensors["stage_3"], outputs[3])
    assert features.stage(3).shape == (2, 4, 4, 64)


@pytest.mark.parametrize("parts", [("points",), ("boxes",), ("points", "boxes")])
@pytest.mark.parametrize("multimask", [True, False])
def test_decoding_is_the_library_s_own_to_the_last_bit(sam, features, parts, multimask):
    given = some_points() if "points" in parts else {}
    boxes = BOXES if "boxes" in parts else None
    sam.model.mask_decoder.dynamic_multimask_via_stability = False
    theirs = sam.model(
        image_embeddings=[features.tensors[FINEST], features.tensors[FINE], features.embedding],
        input_points=given.get("points_xy_model"),
        input_labels=given.get("point_labels"),
        input_boxes=boxes,
        multimask_output=multimask,
    )
    ours = sam.decode(features, Prompts(**given, boxes_xyxy_model=boxes), multimask=multimask)
    assert torch.equal(ours.mask_logits, theirs.pred_masks)
    assert torch.equal(ours.iou, theirs.iou_scores)
    assert torch.equal(ours.object_logits, theirs.object_score_logits[..., 0])


def test_the_choice_by_stability_is_never_made(sam, features):
    decoder = sam.model.mask_decoder
    decoder.dynamic_multimask_via_stability, decoder.dynamic_multimask_stability_thresh = True, 2.0  # always unstable
    try:
        found = sam.decode(features, Prompts(**some_points()), multimask=False)
        decoder.dynamic_multimask_via_stability = False
        expected = sam.decode(features, Prompts(**some_points()), multimask=False)
    finally:
        decoder.dynamic_multimask_stability_thresh = 0.98
    assert torch.equal(found.mask_logits, expected.mask_logits)


def test_a_shift_moves_mask_tokens_and_not_those_of_object_score_and_iou(sam, features):
    """A shift in the decoder's own mask tokens gives what the same shift gives as an argument."""
    shift = torch.randn(4, 16, generator=torch.Generator().manual_seed(2))
    found = sam.decode(features, Prompts(**some_points()), shift.expand(2, -1, -1))
    weight = sam.model.mask_decoder.mask_tokens.weight
    before = weight.detach().clone()
    try:
        weight.data.add_(shift)
        expected = sam.decode(features, Prompts(**some_points()))
    finally:
        weight.data.copy_(before)
    torch.testing.assert_close(found.mask_logits, expected.mask_logits)
    torch.testing.assert_close(found.object_logits, expected.object_logits)


@pytest.mark.parametrize("with_mask", [True, False])
def test_without_points_and_boxes_there_are_no_tokens_for_them(sam, features, with_mask):
    """As the official predictor does it; the library adds two points that are none."""
    mask = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(3)) if with_mask else None
    decoder = sam.model.mask_decoder
    seen = []
    inner = decoder.transformer.forward

    def spy(*args, **kwargs):
        seen.append(kwargs["point_embeddings"].shape[2])
        return inner(*args, **kwargs)

    decoder.transformer.forward = spy
    try:
        sam.decode(features, Prompts(mask_logits=mask))
    finally:
        del decoder.transformer.forward
    assert seen == [6]  # object score, IoU and four masks


def test_a_mask_prompt_is_clamped_as_the_official_predictor_clamps_what_it_returns(sam, features):
    mask = 60 * torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    assert mask.abs().max() > 32
    found = sam.decode(features, Prompts(mask_logits=mask)).mask_logits
    assert torch.equal(found, sam.decode(features, Prompts(mask_logits=mask.clamp(-32, 32))).mask_logits)


def test_decoding_with_a_shift_can_be_exported(sam, features):
    class Decode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.sam = sam

        def forward(self, embedding, fine, finest, points_xy_model, point_labels, shift):
            given = Features({"embedding": embedding, FINE: fine, FINEST: finest})
            prompts = Prompts(points_xy_model=points_xy_model, point_labels=point_labels)
            return self.sam.decode(given, prompts, shift)[:2]

    prompts = Prompts(**some_points())
    tensors = [features.tensors[name] for name in ("embedding", FINE, FINEST)]
    given = (*tensors, prompts.points_xy_model, prompts.point_labels, torch.rand(2, 4, 16))
    exported = torch.export.export(Decode(), given).module()
    expected = sam.decode(features, prompts, given[-1])
    torch.testing.assert_close(exported(*given)[0], expected.mask_logits)
