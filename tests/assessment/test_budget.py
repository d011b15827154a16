import json

import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.assessment.budget import (
    COUNTS,
    DRAWS,
    JITTERS,
    PromptScores,
    _fewer,
    prompt_budget,
    segments_slices_apart,
    uses_own_prompts,
)
from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.cli.main import main
from promise_seg.model import bare_model
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.vocabulary import PromptSource, Slices, Variant
from tests.assessment.volume_rows import rows_of
from tests.helpers import assert_same_dice, make_model, make_tiny_sam, some_points
from tests.instances.drawn import discs, drawn_model

pytestmark = pytest.mark.slow  # each command or training takes a second or more


def by_name(budget):
    return {one.name: one for one in budget}


def test_every_kind_of_prompts_of_every_image(tiny_sam, checked):
    found = by_name(prompt_budget(make_model(tiny_sam), checked[:3]))
    assert found["own prompts"].dice.shape == (1, 3)
    assert found["oracle points, 1"].dice.shape == (DRAWS, 3)
    assert {f"own prompts, jittered by {j:.0%}" for j in JITTERS} <= set(found)
    assert {f"oracle points, {n}" for n in COUNTS} <= set(found)
    assert {name for name, one in found.items() if one.reads_truth} == {n for n in found if n.startswith("oracle")}


@pytest.mark.slow
def test_own_points_and_nothing_score_as_in_an_evaluation(tiny_sam, checked):
    model, rows = make_model(tiny_sam), checked[:3]
    found = by_name(prompt_budget(model, rows))
    for name, source in (
        ("own prompts", PromptSource.APM),
        ("no prompts", PromptSource.NONE),
        ("oracle box", PromptSource.BOX),
    ):
        alone = [r.scores.dice for r in evaluate(model, rows, Assessment(prompts=source))]
        assert_same_dice(found[name].dice[0], alone)


def test_slices_are_apart_where_an_evaluation_would_combine_them(tiny_sam, checked):
    model, slices = make_model(tiny_sam), rows_of(np.ones((3, 8, 8), bool))
    assert not segments_slices_apart(model, slices)
    model.config = model.config.model_copy(update={"volumes": VolumeRule(slices=Slices.AGREE)})
    assert segments_slices_apart(model, slices)
    assert segments_slices_apart(model, rows_of(np.ones((1, 8, 8), bool)))
    assert not segments_slices_apart(model, checked)
    assert not segments_slices_apart(bare_model(tiny_sam), slices)


def test_models_without_apm_have_no_own_points(tiny_sam, checked):
    for model in (bare_model(tiny_sam), make_model(tiny_sam, Variant.IPS)):
        assert not [one.name for one in prompt_budget(model, checked[:2]) if one.name.startswith("own")]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_draws_in_any_order_of_rows(tiny_sam, checked):
    model, few = make_model(tiny_sam), checked[:3]
    one, other, third = (
        by_name(prompt_budget(model, rows, seed=s)) for rows, s in ((few, 0), (few[::-1], 0), (few, 1))
    )
    name = "oracle points, 4"
    np.testing.assert_allclose(one[name].dice, other[name].dice[:, ::-1], atol=1e-5)
    assert np.abs(one[name].dice - third[name].dice).max() > 0.02


def test_each_image_is_encoded_once(tiny_sam, checked, monkeypatch):
    calls, encode = [], tiny_sam.encode
    monkeypatch.setattr(tiny_sam, "encode", lambda images: calls.append(1) or encode(images))
    prompt_budget(make_model(tiny_sam), checked[:3])
    assert len(calls) == 3


def test_fewer_points_keep_both_kinds_and_one_alone_is_foreground():
    prompts = some_points(1, 1, 8)
    assert _fewer(prompts, 1).point_labels.tolist() == [[[1]]]
    assert _fewer(prompts, 4).point_labels.tolist() == [[[1, 1, 0, 0]]]


def test_spread_is_over_draws_and_the_interval_over_groups():
    dice = np.array([[0.2, 0.4, 0.6], [0.4, 0.6, 0.8]])
    found = PromptScores("x", True, dice).summary(["a", "b", "c"])
    assert found["dice"] == pytest.approx(0.5)
    assert found["spread_of_draws"] == pytest.approx(np.std([0.4, 0.6], ddof=1), abs=1e-6)
    assert found["interval"][0] < 0.5 < found["interval"][1]


@pytest.mark.slow
def test_the_command(manifest, tmp_path, capsys):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    args = ["budget", "bare", str(manifest), "--sam", str(tmp_path / "sam"), "-o", str(tmp_path / "out")]
    assert main([*args, "--split", "val"]) == 0
    assert "oracle points, 16" in capsys.readouterr().out
    content = json.loads((tmp_path / "out/budget.json").read_text())
    assert content["images"] == 2
    assert Image.open(tmp_path / "out/budget.png").size[0] > 600
    assert main([*args, "--split", "dev"]) == 2


def map_model(sam, presence=None, **config):
    model = drawn_model(sam, discs((16, 16, 8)), presence)
    model.config = model.config.model_copy(update={"map_share": 1.0} | config)
    return model


def test_own_prompts_that_change_nothing_are_scored_once_and_marked(tiny_sam, checked):
    found = by_name(prompt_budget(map_model(tiny_sam), checked[:2]))
    assert [name for name in found if name.startswith("own")] == ["own prompts"]
    assert [name for name, one in found.items() if not one.prompts_used] == ["own prompts"]
    assert found["own prompts"].summary(["a", "b"])["prompts_used"] is False


@pytest.mark.parametrize(("presence", "config", "used"), [
    (None, {}, False),
    (None, {"map_share": 0.5}, True),
    (None, {"presence_threshold": 0.5}, True),  # judged by SAM's answer to the prompts
    (2.0, {"presence_threshold": 0.5}, False),
])  # fmt: skip
def test_own_prompts_matter_unless_the_map_makes_the_mask_alone(tiny_sam, presence, config, used):
    model = map_model(tiny_sam, presence, **config)
    features = tiny_sam.encode(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))
    assert uses_own_prompts(model, model.propose(features)) is used
