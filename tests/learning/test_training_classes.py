"""One network for several classes: what is shared, that nothing else changes, and exact resumption."""

from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from promise_seg.checkpoint import load_checkpoint, read_config, read_weights
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import CheckpointError
from promise_seg.features.store import FeatureStore
from promise_seg.learning import training_classes
from promise_seg.learning.class_networks import own_names, tie_equal
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.learning.training_classes import ClassesRun
from promise_seg.vocabulary import Split
from tests.helpers import make_tiny_sam, write_dataset
from tests.learning.runs import Killed, log

LABELS = (1, 3)
SETTINGS = make_settings(apm="pretrained", apm_side=32, epochs=2, batch_size=3, views=2)


def write_label_maps(folder):
    """Images and masks of a class 1 in each and a class 3 in every second one; returns the manifest's path."""
    manifest = write_dataset(folder)
    for number, path in enumerate(sorted((folder / "masks").iterdir())):
        labels = np.asarray(Image.open(path)) // 255
        if number % 2:
            labels[:5] = 3
        Image.fromarray(labels.astype(np.uint8)).save(path)
    return manifest


class Made(NamedTuple):
    """An unbroken run of two classes, and what others need to be the same: tests must not change it."""

    folder: object
    rows: Dataset
    store: FeatureStore


def start(made, folder, labels=LABELS, settings=SETTINGS):
    return ClassesRun(folder, made.rows, labels, make_tiny_sam(), made.store, settings, Accelerator(cpu=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    rows = Dataset.from_csv(write_label_maps(folder / "data"), classes="all")
    made = Made(folder / "run", rows, FeatureStore(folder / "store"))
    start(made, made.folder).finish()
    return made


def results(folder):
    names = {"config.json", "model.safetensors", "given_prompts.json", "training_images.json"}
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.name in names}


def test_classes_share_all_but_their_last_layers(made):
    one, other = (read_weights(made.folder / f"class-{label}/best") for label in LABELS)
    own = own_names(load_checkpoint(made.folder / "class-1", make_tiny_sam()))
    assert {name for name, value in one.items() if not torch.equal(value, other[name])} == {
        name for name in one if name.startswith(own)
    }
    assert len(log(made.folder)) == len(log(made.folder / "class-3")) == SETTINGS.epochs


def test_presence_is_learned_of_the_class_that_some_rows_lack(made):
    lacks = [read_config(made.folder / f"class-{label}/best").apm.learns_presence for label in LABELS]
    assert lacks == [False, True]
    (note,) = start(made, made.folder).notes
    assert note.startswith("class 1: in every train row")


@pytest.mark.slow
def test_one_network_for_one_class_is_what_its_own_model_is(made, tmp_path):
    start(made, tmp_path / "one", [3]).finish()
    run = TrainingRun(
        tmp_path / "own", made.rows.of_class(3), make_tiny_sam(), made.store, SETTINGS, Accelerator(cpu=True)
    )
    run.run()
    found, expected = results(tmp_path / "one/class-3"), results(tmp_path / "own")
    assert len(expected) == 6
    assert found == expected
    assert log(tmp_path / "one/class-3") == log(tmp_path / "own")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 3])
def test_a_run_killed_at_any_step_ends_where_an_unbroken_one_ends(steps, made, tmp_path):
    def kill(stage, done, *_):
        if stage == "training" and done == steps:
            raise Killed

    with pytest.raises(Killed):
        start(made, tmp_path / "broken").finish(kill)
    start(made, tmp_path / "broken").finish()
    assert results(tmp_path / "broken") == results(made.folder)
    assert log(tmp_path / "broken/class-1") == log(made.folder / "class-1")
    assert log(tmp_path / "broken") == log(made.folder)


@pytest.mark.slow
def test_a_run_killed_between_the_models_of_two_classes_too(made, tmp_path, monkeypatch):
    from promise_seg.learning import training

    real, calls = training.save_checkpoint, []

    def write_then_die(*args):
        real(*args)
        calls.append(args)
        if len(calls) == 5:  # the first of the second epoch
            raise Killed

    monkeypatch.setattr(training, "save_checkpoint", write_then_die)
    with pytest.raises(Killed):
        start(made, tmp_path / "broken").finish()
    monkeypatch.setattr(training, "save_checkpoint", real)
    start(made, tmp_path / "broken").finish()
    assert results(tmp_path / "broken") == results(made.folder)
    assert log(tmp_path / "broken/class-3") == log(made.folder / "class-3")


def test_a_finished_run_of_other_settings_is_refused(made):
    with pytest.raises(CheckpointError, match="holds a run that differs in seed"):
        start(made, made.folder, settings=SETTINGS.model_copy(update={"seed": 3}))


def test_models_of_one_network_share_their_tensors_when_they_are_loaded(made):
    sam = make_tiny_sam()
    models = [load_checkpoint(made.folder / f"class-{label}", sam) for label in LABELS]
    before = [model.sha256() for model in models]
    assert tie_equal(models)
    assert [model.sha256() for model in models] == before
    assert models[1].apm.shares_trunk(models[0].apm)
    own = own_names(models[0])
    for (name, one), (_, other) in zip(models[0].named_parameters(), models[1].named_parameters(), strict=True):
        assert (one is other) != name.startswith(own), name


def test_models_of_their_own_are_left_apart(made):
    sam = make_tiny_sam()
    models = [load_checkpoint(made.folder / f"class-{label}", sam) for label in LABELS]
    with torch.no_grad():
        next(iter(models[1].apm.decoder.scales.parameters())).add_(1e-3)
    assert not tie_equal(models)
    assert not models[1].apm.shares_trunk(models[0].apm)
    assert not tie_equal(models[:1])


def test_each_image_is_seen_once_for_all_classes(made, monkeypatch):
    run = start(made, made.folder.parent / "seen")
    looks = []
    for model in run.networks:
        real = model.apm.backbone.forward
        monkeypatch.setattr(
            model.apm.backbone, "forward", lambda images, real=real: looks.append(len(images)) or real(images)
        )
    run.whole.train()
    batch = next(iter(run.steps.batches()))
    losses = run.steps.differentiate(batch, 0)
    assert looks == [3]
    assert set(losses) >= {"mask", "saliency", "distance", "presence", "quality"}
    assert len(batch) == len(LABELS)
    assert len(run.rows[Split.TRAIN]) == 6


def test_classes_take_turns_at_the_decoder_and_each_learns_its_maps_in_every_step(made):
    run = start(made, made.folder.parent / "turns")
    run.whole.train()
    turns = []
    for run.draws.epoch in range(2 * len(LABELS)):  # of one step with the decoder each
        run.steps.differentiate(next(iter(run.steps.batches())), 0)
        heads = [model.apm.decoder.out.weight.grad for model in run.networks]
        assert all(grad is not None and grad.any() for grad in heads)
        shifts = [model.ips.lin2.bias.grad for model in run.networks]
        turns.append([grad is not None and bool(grad.any()) for grad in shifts])
    assert turns == [[True, False], [False, True]] * 2


def test_the_masks_of_a_class_weigh_the_same_whatever_the_number_of_classes(made):
    alone, together = start(made, made.folder.parent / "1", [1]), start(made, made.folder.parent / "2")
    found = []
    for run in (alone, together):
        run.whole.train()
        torch.manual_seed(0)
        found.append(run.steps.differentiate(next(iter(run.steps.batches())), 0))
    assert float(found[0]["quality"]) == pytest.approx(float(found[1]["quality"]), rel=1e-3)  # other batches


def test_val_rows_are_seen_once_for_all_classes(made, monkeypatch):
    run = start(made, made.folder.parent / "validated")
    looks = []
    for model in run.networks:
        real = model.apm.trunk_features
        monkeypatch.setattr(model.apm, "trunk_features", lambda features, real=real: looks.append(1) or real(features))
    together = run._validate(), run._val_facts
    assert len(looks) == len(run.rows[Split.VAL])
    monkeypatch.setattr(training_classes, "caching_apm_outputs", nullcontext)
    run.best = run.best | {"dice": -1.0}
    assert (run._validate(), run._val_facts) == together
    assert len(looks) == len(run.rows[Split.VAL]) * (1 + len(LABELS))
