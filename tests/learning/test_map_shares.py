"""How large the share of the map is in answers to a person is chosen on val rows, by what it gains there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from promise_seg.learning import map_shares
from promise_seg.learning.answering import answers_in_words, measure_answers
from promise_seg.learning.map_shares import ANSWER_SHARES, choose_shares
from promise_seg.learning.prompted_images import prompted_images
from promise_seg.model import ModelConfig
from promise_seg.prediction.predictor import Predictor
from promise_seg.progress import silent
from promise_seg.prompting.apm_pretrained import MAPS
from promise_seg.prompting.given_prompts import UNSHIFTED_WITH_MAP, Answer
from promise_seg.prompting.map_in_masks import with_map_as_asked
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import ApmKind, MaskChoice, PromptForm, Split, Variant
from tests.exporting.models import shifted_model
from tests.helpers import disc_image

ANSWERS = {form: Answer(mask_choice=MaskChoice.SCORE) for form in PromptForm}


@pytest.fixture
def val(checked):
    return [row for row in checked if row.row.split == Split.VAL]


@pytest.fixture
def good_maps(monkeypatch):
    """Give each image a map of what is there."""

    def images(*args):
        for one in prompted_images(*args):
            truth = torch.from_numpy(np.any(one.objects, 0)).float()[None, None]
            maps = (16 * F.interpolate(truth, size=(32, 32), mode="area") - 8).expand(-1, 2, -1, -1)
            yield one._replace(features=Features({**one.features.tensors, MAPS: maps}))

    monkeypatch.setattr(map_shares, "prompted_images", images)


def test_a_map_that_knows_gets_a_share(val, tiny_sam, good_maps):
    model = shifted_model(tiny_sam)
    found = choose_shares(model, ANSWERS, val, None, silent)
    assert set(found) == set(PromptForm)
    assert {share for share, _ in found.values()} <= set(ANSWER_SHARES[1:])


def test_of_shares_that_are_as_good_the_smallest_is_taken_and_none_if_the_map_does_not_help(val, tiny_sam, monkeypatch):
    model = shifted_model(tiny_sam)
    for dice, wanted in (
        ([0.5, 0.6, 0.7, 0.71, 0.7113, 0.7099], {(0.3, 0.71)}),
        ([0.7, 0.6, 0.7, 0.7015, 0.5, 0.4], set()),
        ([0.7, 0.6, 0.5, 0.4, 0.3, 0.2], set()),
    ):
        monkeypatch.setattr(map_shares, "_dice_of_shares", lambda *_, dice=dice: [dice])
        assert set(choose_shares(model, ANSWERS, val, None, silent).values()) == wanted


def test_an_auto_prompter_that_only_finds_points_has_no_share(val, tiny_sam):
    assert choose_shares(shifted_model(tiny_sam, ApmKind.HEATMAP), ANSWERS, val, None, silent) == {}


def test_measuring_tells_what_the_map_gains(val, tiny_sam, good_maps):
    answers = measure_answers(shifted_model(tiny_sam), val, None)
    for one in answers:
        assert one.answer.map_share > 0
        assert one.dice > one.dice_without_map >= one.bare_dice
    scores, *_, shares = answers_in_words(answers)
    assert all(f" {one.dice:.3f} ({one.bare_dice:.3f})" in scores for one in answers)
    assert all(f" ({one.dice_without_map:.3f})" in shares for one in answers)


def test_a_mask_is_mixed_as_was_measured_but_not_without_the_map_nor_with_a_mask_as_a_prompt(tiny_sam, images):
    given = {PromptForm.BOX: Answer(mask_choice=MaskChoice.SCORE, shifted=False, map_share=0.25)}
    model = shifted_model(tiny_sam, given=given)
    features = model.encode(images)
    box = Prompts(boxes_xyxy_model=torch.tensor([[[4.0, 4, 20, 20]]]).expand(len(images), -1, -1))
    sam, saliency = tiny_sam.decode(features, box).mask_logits, model.propose(features).saliency_logits
    wanted = with_map_as_asked(sam, saliency, box, 0.25, tiny_sam.image_size)
    assert torch.equal(model.decode(features, box).mask_logits, wanted)
    assert not torch.equal(wanted, sam)
    of_sam = Features({name: value for name, value in features.tensors.items() if not name.startswith("apm_")})
    assert torch.equal(model.decode(of_sam, box).mask_logits, sam)
    refined = replace(box, mask_logits=torch.zeros(len(images), 1, tiny_sam.mask_side, tiny_sam.mask_side))
    sam_refined = tiny_sam.decode(features, refined).mask_logits
    assert torch.equal(model.decode(features, refined).mask_logits, sam_refined)


def test_a_prediction_says_that_sam_s_own_mask_was_mixed_with_the_map(tiny_sam):
    given = {PromptForm.BOX: Answer(mask_choice=MaskChoice.SCORE, shifted=False, map_share=0.5)}
    predictor = Predictor(shifted_model(tiny_sam, given=given))
    image = predictor.encode(disc_image(0)[0])
    found = predictor.predict(image, box_xyxy=[5, 5, 20, 20])
    assert found.note == UNSHIFTED_WITH_MAP
    without = {PromptForm.BOX: Answer(mask_choice=MaskChoice.SCORE, shifted=False)}
    alone = Predictor(shifted_model(tiny_sam, given=without))
    assert not np.array_equal(found.mask_probs, alone.predict(image, box_xyxy=[5, 5, 20, 20]).mask_probs)


def test_a_model_without_shares_keeps_the_hash_that_it_had_before_there_were_any():
    given = {"box": Answer(mask_choice=MaskChoice.SECOND, shifted=False), "point": Answer(mask_choice=MaskChoice.SCORE)}
    config = ModelConfig(
        variant=Variant.IPS, sam="nano", sam_sha256="0" * 64, image_size=128, promise_seg_version="0.1", given=given
    )
    assert config.sha256_with("s") == "7ea70feec58be4951b3da3ce4dce0f7a4c88413b2ceb332b9b4adfc47a16535c"
    shared = config.model_copy(update={"given": {PromptForm.BOX: given["box"].model_copy(update={"map_share": 0.1})}})
    assert shared.sha256_with("s") != config.sha256_with("s")
