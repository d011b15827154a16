"""Promises of the method (docs/method.md): what is trained, what is frozen, what an untrained shift does."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from pydantic import ValidationError

from promise_seg.images.reading import Reading
from promise_seg.model import ModelConfig, PromiseModel, bare_model, choose_mask
from promise_seg.sam.backbone import Decoded, weights_sha256
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import ApmKind, Variant
from tests.helpers import make_model, make_tiny_sam, some_points

TRAINED = {Variant.APM: {"apm"}, Variant.IPS: {"ips"}, Variant.APM_IPS: {"apm", "ips"}}
NEW = {"has_given_shift": True, "learns_quality": True}


def new_model(sam, variant=Variant.APM_IPS, apm=ApmKind.HEATMAP) -> PromiseModel:
    """With what new runs train beside: the quality of masks, and a shift for given prompts where there is one."""
    config = make_model(sam, variant, apm).config
    return PromiseModel(config.model_copy(update=NEW | {"has_given_shift": variant == Variant.APM_IPS}), sam)


def parts_moved_by_a_step(model, images) -> set[str]:
    """Train on masks, estimates of their quality, and the saliency, as far as there are any."""
    model.train()
    before = {name: p.detach().clone() for name, p in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.trainable_parameters().values(), lr=0.1)
    output = model(model.encode(images), *([some_points(count=16)] if model.ips else []))
    decoded = [one for one in (output.own, *output.given) if one is not None]
    parts = [one.mask_logits for one in decoded] + [one.learned_iou for one in decoded if one.learned_iou is not None]
    if output.proposal is not None and output.proposal.saliency_logits is not None:
        parts.append(output.proposal.saliency_logits)
    sum(part.square().mean() for part in parts).backward()
    optimizer.step()
    return {name.split(".")[0] for name, p in model.state_dict().items() if not torch.equal(p, before[name])}


@pytest.mark.parametrize("apm", list(ApmKind))
@pytest.mark.parametrize("variant", list(TRAINED))
def test_one_step_moves_only_the_trainable_parts(variant, apm, images):
    sam = make_tiny_sam()
    assert parts_moved_by_a_step(make_model(sam, variant, apm), images) == TRAINED[variant]
    assert weights_sha256(sam.model) == sam.sha256


@pytest.mark.parametrize("apm", [ApmKind.HEATMAP, ApmKind.PRETRAINED])
@pytest.mark.parametrize("variant", list(TRAINED))
def test_one_step_of_a_new_model_moves_its_quality_and_its_second_shift_too(variant, apm, images):
    sam = make_tiny_sam()
    added = {"quality", "ips_given"} if variant == Variant.APM_IPS else {"quality"}
    assert parts_moved_by_a_step(new_model(sam, variant, apm), images) == TRAINED[variant] | added
    assert weights_sha256(sam.model) == sam.sha256


POINTS, BOXES = some_points(), torch.tensor([[[3.0, 4.0, 20.0, 25.0]], [[8.0, 2.0, 30.0, 12.0]]])
GIVEN = {
    "points": POINTS,
    "box": Prompts(boxes_xyxy_model=BOXES),
    "box and point": replace(some_points(count=1), boxes_xyxy_model=BOXES),
    "points and mask": replace(POINTS, mask_logits=10 * torch.eye(32).expand(2, 1, 32, 32) - 5),
}


@pytest.mark.parametrize("given", list(GIVEN))
@pytest.mark.parametrize(
    ("make", "variant"),
    [(make_model, variant) for variant in (Variant.IPS, Variant.APM_IPS, Variant.APM, Variant.SAM)]
    + [(new_model, variant) for variant in (Variant.IPS, Variant.APM_IPS, Variant.APM)],
)
def test_with_the_shift_at_zero_and_a_user_s_prompts_it_is_sam(make, variant, given, tiny_sam, images):
    model = make(tiny_sam, variant).eval()
    features = model.encode(images)
    own = model.decode(features, GIVEN[given])
    plain = tiny_sam.decode(features, GIVEN[given])
    assert torch.equal(own.mask_logits, plain.mask_logits)
    assert torch.equal(own.iou, plain.iou)
    if make is new_model:
        assert torch.equal(own.learned_iou, plain.iou)


def test_prompts_of_another_form_are_another_question(tiny_sam, images):
    """So that the test before compares more than one answer."""
    features = tiny_sam.encode(images)
    answers = [tiny_sam.decode(features, prompts).mask_logits for prompts in GIVEN.values()]
    assert all(not torch.equal(one, other) for one, other in combinations(answers, 2))


def test_both_kinds_of_prompts_are_decoded_as_they_would_be_alone(tiny_sam, images):
    model = make_model(tiny_sam).eval()
    features = model.encode(images)
    oracle = some_points(count=16)
    both = model(features, oracle)
    alone = model(features).own.mask_logits
    torch.testing.assert_close(both.own.mask_logits, alone, atol=1e-4, rtol=1e-4)
    given = model.decode(features, oracle).mask_logits
    torch.testing.assert_close(both.given[0].mask_logits, given, atol=1e-4, rtol=1e-4)


def test_only_models_with_an_apm_propose(tiny_sam, images):
    model = make_model(tiny_sam, Variant.IPS)
    with pytest.raises(ValueError, match="no auto-prompting module"):
        model.propose(model.encode(images))


def test_choosing_a_mask():
    logits = torch.arange(3.0)[None, None, :, None, None].expand(1, 1, 3, 2, 2)
    decoded = Decoded(logits, torch.tensor([[[0.1, 0.9, 0.5]]]))
    assert choose_mask(decoded, "score").mask_logits.unique().tolist() == [1.0]
    assert choose_mask(decoded, "2").mask_logits.unique().tolist() == [2.0]
    assert choose_mask(decoded, "2").iou.item() == pytest.approx(0.5)


POSSIBLE = {"sam": "s", "sam_sha256": "0", "promise_seg_version": "0", "image_size": 32}


def of_apm(kind, **options):
    return {"variant": "apm", "apm": {"kind": kind} | options}


@pytest.mark.parametrize(
    ("values", "wrong", "reason"),
    [
        (of_apm("heatmap"), {"apm": None}, "variant apm needs an apm"),
        (of_apm("heatmap") | {"variant": "apm+ips"}, {"apm": None}, r"variant apm\+ips needs an apm"),
        ({"variant": "ips"}, {"apm": {"kind": "heatmap"}}, "variant ips cannot have an apm"),
        ({"variant": "sam"}, {"apm": {"kind": "resnet"}}, "variant sam cannot have an apm"),
        (of_apm("heatmap"), of_apm("other"), "apm\n.*'other' found using 'kind' does not match"),
        (of_apm("heatmap"), of_apm("heatmap", position_code="geometric"), "heatmap.position_code\n.*Extra inputs"),
        (of_apm("cross"), of_apm("cross", position_code=None), "cross.position_code\n.*'geometric' or 'reference'"),
        (of_apm("heatmap"), of_apm("heatmap", num_foreground=99), r"num_foreground \(99\) exceeds num_points \(16\)"),
        (of_apm("heatmap"), of_apm("heatmap", num_points=0, num_foreground=0), "heatmap.num_points"),
        (of_apm("heatmap"), of_apm("heatmap", num_foreground=-1), "heatmap.num_foreground"),
        ({"variant": "ips"}, {"oracle": {"num_points": 0, "num_foreground": 0}}, "oracle.num_points"),
        ({"variant": "ips"}, {"reading": {"window": "liverish"}}, "reading.window\n.*--window liverish"),
        ({"variant": "ips"}, {"reading": {"colour": "red"}}, "reading.colour\n.*Extra inputs"),
        ({"variant": "ips"}, {"extra": 1}, "extra"),
        ({"variant": "ips"}, {"variant": "apm-ips"}, "variant"),
        ({"variant": "ips"}, {"mask_choice": "3"}, "mask_choice"),
        ({"variant": "ips"}, {"format_version": 99}, "format_version"),
    ],
)
def test_impossible_configs_are_refused_for_what_is_wrong_with_them(values, wrong, reason):
    ModelConfig(**POSSIBLE | values)
    with pytest.raises(ValidationError, match=reason) as caught:
        ModelConfig(**POSSIBLE | values | wrong)
    assert caught.value.error_count() == 1


@pytest.mark.parametrize("name", ["variant", *POSSIBLE])
def test_a_config_without_what_it_needs_is_refused(name):
    with pytest.raises(ValidationError, match=rf"{name}\n +Field required") as caught:
        ModelConfig(**{key: value for key, value in ({"variant": "ips"} | POSSIBLE).items() if key != name})
    assert caught.value.error_count() == 1


def test_the_bare_model_trains_nothing(tiny_sam):
    assert bare_model(tiny_sam).trainable_parameters() == {}


def test_a_threshold_of_grey_masks_belongs_to_the_data_alone(tiny_sam):
    model = bare_model(tiny_sam, reading=Reading(mask_threshold=127, crop_border=True))
    assert model.config.reading == Reading(crop_border=True)
