"""The yardstick: trained as long as it is told, and exactly resumable."""

import json

import numpy as np
import pytest
import torch

from promise_seg.assessment.evaluation import Assessment
from promise_seg.benchmarking.unet import UnetRun, UnetSettings
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import CheckpointError
from promise_seg.learning.state import load_training_state, save_training_state
from promise_seg.vocabulary import PromptSource, Split
from tests.helpers import write_dataset


@pytest.fixture
def make(tmp_path, tiny_sam):
    rows = check_rows(read_manifest(write_dataset(tmp_path / "data")))
    train, val = ([row for row in rows if row.row.split == split] for split in (Split.TRAIN, Split.VAL))

    def run(name="run", **settings):
        return UnetRun(tmp_path / name, train, val, tiny_sam, UnetSettings(**{"seed": 0, "epochs": 2} | settings))

    return run


class Killed(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"side": 32}, {"side": 32, "patience": 2}])
def test_a_run_that_was_killed_ends_where_an_unbroken_one_ends(make, settings):
    whole = make("whole", **settings)
    whole.run()
    broken = make("broken", **settings)

    def kill(stage, done, total, note=""):
        if done >= total / 2:
            raise Killed

    with pytest.raises(Killed):
        broken.run(kill)
    again = make("broken", **settings)
    assert again.epoch == 1
    again.run()
    for name, value in whole.unet.state_dict().items():
        assert torch.equal(value, again.unet.state_dict()[name]), name
    assert again.best_sha256() == whole.best_sha256()
    assert len((again.folder / "log.jsonl").read_text().splitlines()) == 2


def test_it_stops_when_its_time_is_spent(make):
    run = make(epochs=None, cpu_seconds=1e-3)
    run.run()
    assert run.epoch == 1
    assert run.cpu_seconds >= 1e-3


def test_a_run_that_is_over_stays_so_whatever_time_others_took_since(make):
    make(epochs=None, cpu_seconds=1e-3).run()
    again = make(epochs=None, cpu_seconds=1e3)
    assert again.finished


@pytest.fixture
def scripted(make, monkeypatch):
    """A function that trains with early stopping, with these Dice scores on val, epoch after epoch."""

    def run(dice, stop_after=None, **settings):
        made = make(**{"patience": 2, "side": 32} | settings)
        script = iter(dice[made.epoch :])
        monkeypatch.setattr(made, "_val_dice", lambda: next(script))
        weights = []

        def look(stage, done, total, note=""):
            if made.epoch == stop_after:
                raise Killed
            weights.append({name: value.clone() for name, value in made.unet.state_dict().items()})

        try:
            made.run(look)
        except Killed:
            return made, None
        return made, weights

    return run


@pytest.mark.slow
def test_early_stopping_keeps_the_best_epoch_and_ends_after_too_many_without_a_gain(scripted):
    run, weights = scripted([0.2, 0.5, 0.5, 0.4, 0.9], epochs=9)
    assert (run.epoch, run.best_epoch, run.best_dice) == (4, 2, 0.5)
    best = run.best().state_dict()
    assert all(torch.equal(value, best[name]) for name, value in weights[2].items())  # as epoch 3 began with
    assert not all(torch.equal(value, best[name]) for name, value in weights[3].items())


def test_early_stopping_ends_at_its_upper_bound(scripted):
    run, _ = scripted([0.1, 0.2, 0.3, 0.4], epochs=3)
    assert (run.epoch, run.best_epoch) == (3, 3)


@pytest.mark.slow
def test_epochs_without_a_gain_are_counted_across_an_interruption(scripted):
    scripted([0.5, 0.4, 0.3, 0.9], stop_after=2, epochs=9)
    run, _ = scripted([0.5, 0.4, 0.3, 0.9], epochs=9)
    assert (run.epoch, run.best_epoch) == (3, 1)
    again, weights = scripted([], epochs=9)
    assert again.finished
    assert len(weights) == 1  # told once that it is done


def test_a_run_from_before_early_stopping_is_finished_still(make):
    run = make()
    run.run()
    path = run.folder / "state.safetensors"
    weights, facts = load_training_state(path, [run.optimizer])
    del facts["best_epoch"]
    save_training_state(path, [run.optimizer], weights, facts)
    assert make().finished
    assert set(facts["identity"]) == {
        "seed", "epochs", "fit", "augmentation", "side", "network", "data_sha256", "reading",
    }  # fmt: skip
    assert facts["identity"]["network"] == [[32, 32, 64, 128, 256, 32], 16, 1e-3]


def test_progress_tells_the_epoch_the_bound_and_the_best(make):
    told = []
    make(side=32, patience=2).run(lambda *facts: told.append(facts))
    assert told[0][:3] == ("training", 0, 1000)
    assert told[0][3] == "epoch 1 of at most 2, best val Dice 0.000"
    assert told[-1][1] == 1000
    assert "best val Dice" in told[-1][3]


@pytest.mark.parametrize("change", [{"side": 64}, {"patience": 3}, {"side": None}])
def test_another_network_side_or_patience_is_no_continuation(make, change):
    settings = {"side": 32, "patience": 2}
    make(**settings).run()
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        make(**settings | change)


def test_other_settings_are_no_continuation(make, tmp_path):
    make().run()
    before = (tmp_path / "run/state.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="other settings or data"):
        make(seed=1)
    assert (tmp_path / "run/state.safetensors").read_bytes() == before


@pytest.mark.parametrize("side", [None, 32])
def test_scores_are_at_each_images_own_size_with_all_measures(make, side):
    run = make(epochs=1, side=side)
    run.run()
    results = run.evaluate(run.val, Assessment(prompts=PromptSource.NONE))
    assert [r.checked for r in results] == list(run.val)
    assert {"hd95", "s_measure"} <= set(results[0].measures)
    if side is not None:  # final scores are of the mean over mirror images
        return
    (line,) = (run.folder / "log.jsonl").read_text().splitlines()
    assert np.mean([r.scores.dice for r in results]) == pytest.approx(json.loads(line)["val_dice"], abs=1e-5)


def test_damaged_weights_are_named(make):
    run = make(epochs=1)
    run.run()
    (run.folder / "best.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"best\.safetensors"):
        run.best()


def test_epochs_that_its_log_lost_are_named_when_it_is_resumed(make, caplog):
    make(epochs=1).run()
    assert not caplog.text
    (make(epochs=1).folder / "log.jsonl").unlink()
    make(epochs=1)
    assert "log.jsonl: has no line of epoch 1. The run continues without it" in caplog.text
