"""How given prompts are answered is measured, kept in the model, and never worse than the bare SAM on val rows."""

import json

import numpy as np
import pytest
import torch

from promise_seg.errors import CheckpointError
from promise_seg.learning.answering import (
    ANSWERS_FILE,
    MeasuredAnswer,
    answers_in_words,
    measure_answers,
    read_answers,
    write_answers,
)
from promise_seg.model import ModelConfig, PromiseModel, bare_model
from promise_seg.prediction.predictor import Predictor
from promise_seg.prompting.given_prompts import UNSHIFTED, Answer, form_of
from promise_seg.sam.prompts import Prompts
from promise_seg.storage.sealed import opened
from promise_seg.vocabulary import MaskChoice, PromptForm, Split
from tests.helpers import disc_image, make_model, some_points


def shifted_model(sam, scale=0.0, **changes):
    plain = make_model(sam)
    config = plain.config.model_copy(update={"has_given_shift": True, "learns_quality": True} | changes)
    torch.manual_seed(3)
    model = PromiseModel(ModelConfig.model_validate(config.model_dump()), sam).eval()
    for shift in (model.ips, model.ips_given):
        torch.nn.init.normal_(shift.lin2.weight, std=scale) if scale else None
    return model


BOX = torch.tensor([[[4.0, 4, 20, 20]]])


@pytest.mark.parametrize(
    ("prompts", "form"),
    [
        (some_points(1, count=1), PromptForm.POINT),
        (some_points(1, count=4), PromptForm.POINTS),
        (some_points(1, count=7), PromptForm.POINTS),
        (some_points(1, count=8), PromptForm.MANY_POINTS),
        (Prompts(points_xy_model=torch.ones(1, 1, 1, 2), point_labels=torch.zeros(1, 1, 1)), PromptForm.POINTS),
        (Prompts(boxes_xyxy_model=BOX), PromptForm.BOX),
        (Prompts(boxes_xyxy_model=BOX, points_xy_model=torch.ones(1, 1, 1, 2), point_labels=torch.ones(1, 1, 1)),
         PromptForm.BOX_AND_POINTS),
        (Prompts(boxes_xyxy_model=BOX, points_xy_model=torch.ones(1, 1, 1, 2),
                 point_labels=torch.full((1, 1, 1), -10)), PromptForm.BOX),
        (Prompts(), None),
        (Prompts(mask_logits=torch.zeros(1, 1, 32, 32)), None),
    ],
)  # fmt: skip
def test_prompts_are_of_the_form_of_the_set_with_the_most_points(prompts, form):
    assert form_of(prompts) == form


def test_a_shift_that_harms_is_left_out_and_one_that_does_nothing_costs_nothing(checked, tiny_sam):
    val = [row for row in checked if row.row.split == Split.VAL]
    left_out = []
    for scale in (0.0, 0.3, 1.0, 10.0):
        answers = measure_answers(shifted_model(tiny_sam, scale), val, None)
        assert [one.form for one in answers] == list(PromptForm)
        for one in answers:
            assert one.dice >= one.bare_dice
            assert one.dice >= one.shifted_dice
            if not scale:
                assert one.shifted_dice == pytest.approx(one.dice)
            assert one.answer.shifted == (one.shifted_dice >= one.dice > one.bare_dice) or not scale
            if scale and not one.answer.shifted:
                assert any("the trained shift of SAM is not used" in line for line in answers_in_words([one]))
                left_out.append(one)
    assert left_out


def test_the_user_is_told_all_answers_in_three_lines():
    def answer(form, dice, shifted_dice, *, shifted, without=None):
        chosen = Answer(mask_choice=MaskChoice.SCORE, shifted=shifted)
        return MeasuredAnswer(
            form=form, answer=chosen, dice=dice, bare_dice=0.5, shifted_dice=shifted_dice, dice_without_map=without
        )

    answers = [
        answer(PromptForm.POINT, 0.7, 0.65, shifted=True, without=0.65),
        answer(PromptForm.BOX, 0.5, 0.4, shifted=False),
    ]
    assert answers_in_words(answers) == [
        "val Dice with given prompts (bare SAM in brackets): one point 0.700 (0.500), a box 0.500 (0.500)",
        "the trained shift of SAM is not used, because SAM without it is better (Dice with it in brackets): "
        "a box (0.400)",
        "the auto-prompter's saliency map is mixed into the mask, which is better (Dice without it in brackets): "
        "one point (0.650)",
    ]
    assert answers_in_words([]) == []


def test_the_bare_sam_s_dice_is_that_of_the_bare_sam(checked, tiny_sam):
    val = [row for row in checked if row.row.split == Split.VAL]
    of_model = measure_answers(shifted_model(tiny_sam, 3.0), val, None)
    of_bare = measure_answers(bare_model(tiny_sam), val, None)
    assert [one.bare_dice for one in of_model] == pytest.approx([one.bare_dice for one in of_bare])
    assert all(one.shifted_dice is None for one in of_bare)


def test_what_was_measured_is_what_happens(tiny_sam, images):
    given = {
        PromptForm.BOX: Answer(mask_choice=MaskChoice.THIRD, shifted=False),
        PromptForm.POINTS: Answer(mask_choice=MaskChoice.SECOND, shifted=True),
    }
    model = shifted_model(tiny_sam, 1.0, given=given)
    features = model.encode(images)
    box = Prompts(boxes_xyxy_model=BOX.expand(2, -1, -1))
    assert torch.equal(model.decode(features, box).mask_logits, tiny_sam.decode(features, box).mask_logits)
    assert not torch.equal(
        model.decode(features, some_points()).mask_logits, tiny_sam.decode(features, some_points()).mask_logits
    )
    assert model.answer_to(box).mask_choice == MaskChoice.THIRD
    assert model.answer_to(some_points()).mask_choice == MaskChoice.SECOND
    assert model.answer_to(some_points(count=1)).mask_choice == model.config.mask_choice
    assert model.answer_to(model.propose(features)).mask_choice == model.config.mask_choice


def test_own_and_given_prompts_have_shifts_of_their_own(tiny_sam, images):
    model = shifted_model(tiny_sam, 1.0)
    features = model.encode(images)
    own = model.propose(features)
    same_but_given = Prompts(points_xy_model=own.points_xy_model, point_labels=own.point_labels)
    assert not torch.equal(model.decode(features, own).mask_logits, model.decode(features, same_but_given).mask_logits)


def test_a_prediction_says_that_it_was_answered_without_the_shift(tiny_sam):
    given = {PromptForm.BOX: Answer(mask_choice=MaskChoice.SCORE, shifted=False)}
    predictor = Predictor(shifted_model(tiny_sam, 1.0, given=given))
    image = predictor.encode(disc_image(0)[0])
    boxed = predictor.predict(image, box_xyxy=[5, 5, 20, 20])
    bare = Predictor(bare_model(tiny_sam)).predict(image, box_xyxy=[5, 5, 20, 20])
    assert boxed.note == UNSHIFTED
    assert np.array_equal(boxed.mask_probs, bare.mask_probs)
    assert predictor.predict(image, points_xy=[[5, 5]], point_labels=[1]).note == ""
    assert predictor.predict(image).note == ""


def test_answers_are_written_and_read(checked, tiny_sam, tmp_path):
    answers = measure_answers(shifted_model(tiny_sam), checked[:1], None)
    write_answers(tmp_path, answers)
    assert read_answers(tmp_path) == answers
    (written,) = opened(json.loads((tmp_path / ANSWERS_FILE).read_text())).values()
    assert [one["form"] for one in written] == [str(one) for one in PromptForm]
    assert read_answers(tmp_path / "nothing") == ()
    (tmp_path / ANSWERS_FILE).write_text("[{]")
    with pytest.raises(CheckpointError, match=r"given_prompts\.json: cannot be read"):
        read_answers(tmp_path)
