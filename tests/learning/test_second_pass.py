"""SAM sees its own masks once more only where that was measured to be better, and for a model's own prompts alone."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from promise_seg.dataset.checks import CheckedRow
from promise_seg.learning import second_pass
from promise_seg.learning.second_pass import measure_second_pass
from promise_seg.model import ModelConfig, PromiseModel, choose_mask
from promise_seg.sam.backbone import Decoded
from promise_seg.vocabulary import MaskChoice, Split
from tests.assessment.volume_rows import rows_of
from tests.helpers import make_model, some_points


def with_second_pass(sam):
    config = make_model(sam).config.model_copy(update={"second_pass": True, "mask_choice": MaskChoice.SECOND})
    return PromiseModel(ModelConfig.model_validate(config.model_dump()), sam).eval()


@pytest.mark.parametrize("second_is_better", [False, True])
def test_it_helps_only_where_dice_is_higher(second_is_better, checked, tiny_sam, monkeypatch):
    """One pass finds all of the image, the other nothing: the former has some Dice, the latter none."""

    def decode(self, features, prompts, *, shifted=True):
        is_second = prompts.mask_logits is not None
        value = 5.0 if is_second == second_is_better else -5.0
        return Decoded(torch.full((1, 1, 3, 8, 8), value), torch.zeros(1, 1, 3))

    monkeypatch.setattr(PromiseModel, "sam_masks", decode)
    val = [row for row in checked if row.row.split == Split.VAL]
    model = make_model(tiny_sam)
    config = model.config
    found = measure_second_pass(model, val, None)
    assert found.helps == second_is_better
    assert min(found) == 0 < max(found)
    assert model.config is config


def test_where_both_are_alike_sam_is_asked_once(checked, tiny_sam, monkeypatch):
    def decode(self, features, prompts, *, shifted=True):
        return Decoded(torch.full((1, 1, 3, 8, 8), 5.0), torch.zeros(1, 1, 3))

    monkeypatch.setattr(PromiseModel, "sam_masks", decode)
    assert not measure_second_pass(make_model(tiny_sam), checked[:2], None).helps


def test_the_chosen_mask_is_what_sam_sees_again(tiny_sam, images):
    model = with_second_pass(tiny_sam)
    features = model.encode(images)
    own = model.propose(features)
    first = choose_mask(model.sam_masks(features, own), MaskChoice.SECOND).mask_logits
    again = model.sam_masks(features, replace(own, mask_logits=first))
    assert torch.equal(model.decode(features, own).mask_logits, again.mask_logits)
    assert not torch.equal(again.mask_logits, model.sam_masks(features, own).mask_logits)


def test_given_prompts_are_answered_at_once(tiny_sam, images):
    model = with_second_pass(tiny_sam)
    features = model.encode(images)
    given = some_points()
    assert torch.equal(model.decode(features, given).mask_logits, model.sam_masks(features, given).mask_logits)


def test_it_survives_a_config_and_old_hashes_do_not_change(tiny_sam):
    plain, twice = make_model(tiny_sam).config, with_second_pass(tiny_sam).config
    assert ModelConfig.of_any_version(twice.model_dump(mode="json"), "here") == twice
    assert "second_pass" in twice.model_dump(exclude_defaults=True)
    assert "second_pass" not in plain.model_dump(exclude_defaults=True)


@pytest.mark.parametrize("as_volumes", [False, True])
def test_slices_of_volumes_are_scored_as_one_mask(as_volumes, tiny_sam, monkeypatch):
    """Once, SAM finds the large slice alone, twice the two small ones and something in an empty one."""
    truth = np.zeros((4, 8, 8), bool)
    truth[0], truth[1:3, 0, 0] = True, True
    once, twice = truth.copy(), truth.copy()
    once[1:], twice[0], twice[3, 0, 0] = False, False, True

    def decode(model, rows, *_):
        (row,) = rows
        mask = (twice if model.config.second_pass else once)[row.index]
        yield SimpleNamespace(masks=SimpleNamespace(probs=lambda _: mask.astype(np.float32)))

    monkeypatch.setattr(second_pass, "decode_rows", decode)
    monkeypatch.setattr(CheckedRow, "mask", lambda row: truth[row.index])
    found = measure_second_pass(make_model(tiny_sam), rows_of(truth), None, as_volumes=as_volumes)
    expected = (2 * 64 / 130, 2 * 2 / 69) if as_volumes else (1 / 3, 2 / 3)
    assert found == pytest.approx(expected)
