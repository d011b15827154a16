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


def test_a_run_that_was_killed_ends_where_an_unbroken_one_ends(make):
    whole = make("whole")
    whole.run()
    broken = make("broken")

    def kill(stage, done, total, note=""):
        if done >= total / 2:
            raise Killed

    with pytest.raises(Killed):
        broken.run(kill)
    again = make("broken")
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


def test_other_settings_are_no_continuation(make, tmp_path):
    make().run()
    before = (tmp_path / "run/state.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="other settings or data"):
        make(seed=1)
    assert (tmp_path / "run/state.safetensors").read_bytes() == before


def test_scores_are_at_each_images_own_size_with_all_measures(make):
    run = make(epochs=1)
    run.run()
    results = run.evaluate(run.val, Assessment(prompts=PromptSource.NONE))
    assert [r.checked for r in results] == list(run.val)
    assert {"hd95", "s_measure"} <= set(results[0].measures)
    (line,) = (run.folder / "log.jsonl").read_text().splitlines()
    assert np.mean([r.scores.dice for r in results]) == pytest.approx(json.loads(line)["val_dice"], abs=1e-5)


def test_damaged_weights_are_named(make):
    run = make(epochs=1)
    run.run()
    (run.folder / "best.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"best\.safetensors"):
        run.best()
