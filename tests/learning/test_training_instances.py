"""Training on instance maps: objects are learned separately, and how they are told apart is chosen on the val rows."""

import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.checkpoint import read_config
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.reading import make_reading
from promise_seg.learning import instance_choices, validation
from promise_seg.learning.instance_choices import choose_instance_rule
from promise_seg.learning.objective import training_losses
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.learning.training_set import Draw, collate
from promise_seg.prediction.predictor import Predictor
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.vocabulary import ApmKind, PromptSource
from tests.helpers import make_model, make_tiny_sam, write_dataset
from tests.instances.drawn import discs, drawn_model

TOUCHING = discs((9, 10, 6), (20, 10, 6), (25, 25, 4))


@pytest.fixture
def rows(tmp_path):
    """Images of the model's size, each with the same three objects of which two touch; their numbers have gaps."""
    manifest = write_dataset(tmp_path / "data", ("train",) * 4 + ("val",) * 2)
    for number, row in enumerate(read_manifest(manifest)):
        image = np.random.default_rng(number).integers(0, 90, (32, 32, 3)).astype(np.uint8)
        image[TOUCHING > 0] += 120
        Image.fromarray(image).save(row.image)
        Image.fromarray((TOUCHING * 300).astype(np.uint16)).save(row.mask)
    return check_rows(read_manifest(manifest), make_reading(instances=True))


def start(folder, rows, store, accelerator, **values) -> TrainingRun:
    settings = make_settings(apm="pretrained", apm_side=32, epochs=1, batch_size=2, views=2, **values)
    return TrainingRun(folder, rows, make_tiny_sam(), store, settings, accelerator)


def val(rows):
    return [row for row in rows if row.row.split == "val"]


@pytest.mark.slow
def test_the_distance_that_is_learned_falls_where_objects_touch(rows, store, accelerator, tmp_path):
    run = start(tmp_path / "run", rows, store, accelerator)
    item = run.training_set[Draw(0, 0, (1,))]
    side = item.inner_distance.shape[-1]
    seam = item.inner_distance[0, 10 * side // 32, 14 * side // 32 : 16 * side // 32]
    assert seam.max() < 0.5
    assert item.map_target[0, 10 * side // 32, 14 * side // 32] == 1
    assert set(item.instances.unique().tolist()) == {0, 300, 600, 900}
    moved = run.training_set[Draw(0, 1, (1,))]
    again = run.training_set[Draw(0, 1, (1,))]
    assert torch.equal(moved.instances, again.instances)  # the second time from what is kept


@pytest.mark.slow
def test_a_run_that_was_begun_before_learns_the_union_as_it_did(rows, store, accelerator, tmp_path):
    run = start(tmp_path / "run", rows, store, accelerator, separate_objects=False)
    item = run.training_set[Draw(0, 0, (1,))]
    assert item.instances is None
    side = item.inner_distance.shape[-1]
    assert item.inner_distance[0, 10 * side // 32, 14 * side // 32] > 0.5
    assert not run.model.config.apm.separates


def test_each_of_the_own_prompts_asks_for_one_object(rows, store, accelerator, tmp_path):
    run = start(tmp_path / "run", rows, store, accelerator)
    batch = collate([run.training_set[Draw(row, 0, (1,))] for row in (0, 1)])
    run.model.train()
    output = run.model(batch.inputs)
    losses = training_losses(output, batch, run.settings, 32)
    assert all(bool(value.isfinite()) for value in losses.values())
    assert output.proposal.numbers.shape == output.proposal.boxes_xyxy_model.shape[:2]


@pytest.mark.slow
def test_a_trained_model_tells_objects_apart_by_the_rule_that_was_chosen(rows, store, accelerator, tmp_path):
    run = start(tmp_path / "run", rows, store, accelerator)
    model = run.run()
    config = read_config(tmp_path / "run" / "best")
    assert config.apm.separates
    assert config.instances is not None
    assert model.config.instance_rule == config.instances
    found = Predictor(model).predict_instances(rows[0].row.image)
    assert len(found) == found.labels.max()


@pytest.fixture
def few_rules(monkeypatch):
    monkeypatch.setattr(instance_choices, "PROMINENCES", (0.05, 0.99))
    monkeypatch.setattr(instance_choices, "OBJECT_SHARES", (0.0,))
    monkeypatch.setattr(instance_choices, "LEAST_SCORES", (0.0, 1.0))


@pytest.mark.usefixtures("few_rules")
def test_the_rule_with_the_best_f1_is_chosen(tiny_sam, rows, monkeypatch):
    scored = {}
    real = instance_choices._f1_of_rules

    def watched(model, image, rules, tick):
        f1 = real(model, image, rules, tick)
        scored.update(zip(rules, f1, strict=True))
        return f1

    monkeypatch.setattr(instance_choices, "_f1_of_rules", watched)
    rule = choose_instance_rule(drawn_model(tiny_sam, TOUCHING), val(rows), None)
    assert len(scored) == 4  # the least score of 0 is that of the rule before
    assert rule == InstanceRule(prominence=0.05, map_share=1.0)
    assert scored[rule] == max(scored.values())
    assert scored[rule].f1 > 0.9


@pytest.mark.usefixtures("few_rules")
def test_rules_are_tried_on_one_image_at_a_time_and_outlined_once_for_all_least_scores(tiny_sam, rows, monkeypatch):
    encoded, outlined = [], []
    encode, outline = instance_choices.model_features, instance_choices.outline_objects

    def watched(*args):
        assert sum(one() is not None for one in encoded) <= 1
        features = encode(*args)
        encoded.append(weakref.ref(features))
        return features

    monkeypatch.setattr(instance_choices, "model_features", watched)
    monkeypatch.setattr(instance_choices, "outline_objects", lambda *a: outlined.append(a[-1]) or outline(*a))
    choose_instance_rule(drawn_model(tiny_sam, TOUCHING), rows, None)
    assert len(outlined) == len(rows) * (2 + 1 + 1)


def test_without_a_map_there_is_nothing_to_choose(tiny_sam, rows):
    assert choose_instance_rule(make_model(tiny_sam, apm=ApmKind.RESNET), val(rows), None) is None


def test_own_prompts_are_scored_by_the_objects_that_the_model_tells_apart(tiny_sam, rows):
    model = drawn_model(tiny_sam, TOUCHING)
    model.config = model.config.model_copy(update={"instances": InstanceRule()})
    for result in evaluate(model, val(rows), Assessment(prompts=PromptSource.APM)):
        assert result.measures["object_f1_50"] == 1
        assert result.measures["average_precision"] > 0.9
        assert result.measures["count_error"] == 0


def test_the_features_of_val_rows_are_not_kept_until_all_are_scored(tiny_sam, rows, monkeypatch):
    scored = []
    real = validation.dice_of_choices
    monkeypatch.setattr(validation, "dice_of_choices", lambda one, *rest: scored.append(one) or real(one, *rest))
    validation.validate(drawn_model(tiny_sam, TOUCHING), val(rows), None, make_settings(apm="pretrained"))
    assert [one.own_instances for one in scored] == [None] * 2


def test_a_mask_of_one_kind_given_as_instances_is_a_warning(tmp_path):
    manifest = write_dataset(tmp_path / "data", ("train",) * 2)
    for row in read_manifest(manifest):
        mask = np.zeros((30, 40), np.uint8)
        mask[::6, ::6] = 255
        Image.fromarray(mask).save(row.mask)
    checked = check_rows(read_manifest(manifest), make_reading(instances=True))
    assert all("many separate parts" in one.mask_note for one in checked)
