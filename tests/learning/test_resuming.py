"""An interrupted run ends with the same bytes as an unbroken one, and a folder of another run is refused."""

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from promise_seg.checkpoint import LAST_FOLDER, load_checkpoint
from promise_seg.dataset.checks import CheckedRow, check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import CheckpointError
from promise_seg.features.store import FeatureStore
from promise_seg.images.reading import make_reading
from promise_seg.learning import training
from promise_seg.learning.run_note import SETTINGS_FILE, DataOrigin, read_note
from promise_seg.learning.training import STATE_FILE, TrainingRun
from promise_seg.learning.training_images import TrainingImages, read_training_images
from promise_seg.learning.validation import Validated
from promise_seg.vocabulary import MaskChoice
from tests.helpers import first_settings, make_tiny_sam, write_dataset
from tests.learning.runs import Killed, log, results, start


class Whole(NamedTuple):
    """An unbroken run, and what others need to be the same: tests must not change it."""

    folder: Path
    rows: list[CheckedRow]
    store: FeatureStore


@pytest.fixture(scope="module")
def whole(tiny_sam, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    rows, store = check_rows(read_manifest(write_dataset(folder / "data"))), FeatureStore(folder / "store")
    start(folder / "run", rows, tiny_sam, store, Accelerator(cpu=True)).run()
    return Whole(folder / "run", rows, store)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 4, 5, 8])
def test_a_run_killed_at_any_step_ends_where_an_unbroken_one_ends(steps, whole, tiny_sam, accelerator, tmp_path):
    def kill(_stage, done, *_):
        if done == steps:
            raise Killed

    with pytest.raises(Killed):
        start(tmp_path / "broken", whole.rows, tiny_sam, whole.store, accelerator).run(kill)
    start(tmp_path / "broken", whole.rows, tiny_sam, whole.store, accelerator).run()
    assert results(tmp_path / "broken") == results(whole.folder)
    assert log(tmp_path / "broken") == log(whole.folder)


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("victim", ["save_checkpoint", "write_text", "save_training_state"])
def test_a_run_killed_while_it_writes_too(victim, epoch, whole, tiny_sam, accelerator, tmp_path, monkeypatch):
    real, calls = getattr(training, victim), []

    def write_then_die(*args):
        real(*args)
        calls.append(args)
        if len(calls) == epoch:
            raise Killed

    monkeypatch.setattr(training, victim, write_then_die)
    with pytest.raises(Killed):
        start(tmp_path / "broken", whole.rows, tiny_sam, whole.store, accelerator).run()
    monkeypatch.setattr(training, victim, real)
    start(tmp_path / "broken", whole.rows, tiny_sam, whole.store, accelerator).run()
    assert results(tmp_path / "broken") == results(whole.folder)
    assert log(tmp_path / "broken") == log(whole.folder)


@pytest.mark.slow
def _run_until(epoch: int, run: TrainingRun) -> None:
    """Train a run until so many epochs are done, and stop it there."""
    real = run.train_epoch

    def train_epoch(*args):
        if run.epoch == epoch:
            raise Killed
        return real(*args)

    run.train_epoch = train_epoch
    with pytest.raises(Killed):
        run.run()


def test_what_the_last_validation_chose_is_kept_by_a_run_that_resumes_between_two(
    checked, tiny_sam, store, accelerator, tmp_path, monkeypatch
):
    chosen = Validated(0.5, MaskChoice.THIRD, 0.25)
    monkeypatch.setattr(training, "validate", lambda *_: chosen)
    values = {"epochs": 4, "val_interval": 2, "variant": "ips"}
    _run_until(3, start(tmp_path / "unbroken", checked, tiny_sam, store, accelerator, **values))
    _run_until(2, start(tmp_path / "broken", checked, tiny_sam, store, accelerator, **values))
    _run_until(3, start(tmp_path / "broken", checked, tiny_sam, store, accelerator, **values))
    assert results(tmp_path / "broken") == results(tmp_path / "unbroken")
    config = json.loads((tmp_path / "broken" / LAST_FOLDER / "config.json").read_text())
    assert (config["mask_choice"], config["map_share"]) == (MaskChoice.THIRD, 0.25)


def test_the_scale_of_losses_in_half_precision_is_resumed(checked, tiny_sam, store, accelerator, tmp_path):
    """A new scale would let other steps overflow, and be left out, than in an unbroken run."""
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
    _run_until(1, start(tmp_path / "run", checked, tiny_sam, store, accelerator))
    again = Accelerator(cpu=True)
    again.scaler = torch.amp.GradScaler("cpu")
    start(tmp_path / "run", checked, tiny_sam, store, again)
    assert again.scaler.get_scale() == 512.0


def test_a_finished_run_is_left_alone(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator).run()
    before = (tmp_path / "a" / STATE_FILE).stat().st_mtime_ns
    run = start(tmp_path / "a", checked, tiny_sam, FeatureStore(tmp_path / "none"), accelerator)
    assert run.finished
    run.run()
    assert (tmp_path / "a" / STATE_FILE).stat().st_mtime_ns == before


def test_a_finished_run_whose_best_model_is_gone_says_so(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator, epochs=1).run()
    shutil.rmtree(tmp_path / "a" / "best")
    with pytest.raises(CheckpointError, match="best: contains no checkpoint"):
        start(tmp_path / "a", checked, tiny_sam, store, accelerator, epochs=1).run()


@pytest.mark.parametrize(("values", "named"), [({"seed": 3}, "seed"), ({"weight_decay": 0.5}, "weight_decay")])
def test_a_folder_of_another_run_is_refused(checked, tiny_sam, store, accelerator, tmp_path, values, named):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator).run()
    with pytest.raises(CheckpointError, match=rf"differs in {named} \(\S+ there, \S+ now\)\."):
        start(tmp_path / "a", checked, tiny_sam, store, accelerator, **values)


def test_more_epochs_for_a_run_are_possible_from_its_model(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator, epochs=1).run()
    way_out = rf"another -o folder\. There, --init {re.escape(str(tmp_path / 'a'))} continues from its best model"
    with pytest.raises(CheckpointError, match=way_out):
        start(tmp_path / "a", checked, tiny_sam, store, accelerator, epochs=2)


def test_a_folder_of_other_data_or_of_another_sam_is_refused(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator).run()
    with pytest.raises(CheckpointError, match="differs in data"):
        start(tmp_path / "a", checked[1:], tiny_sam, store, accelerator)
    with pytest.raises(CheckpointError, match="differs in sam"):
        start(tmp_path / "a", checked, make_tiny_sam(4), store, accelerator)


@pytest.mark.slow
def test_other_masks_of_the_same_size_are_other_data(manifest, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "run", check_rows(read_manifest(manifest)), tiny_sam, store, accelerator, epochs=1).run()
    path = manifest.parent / "masks/0.png"
    Image.fromarray(np.asarray(Image.open(path))[::-1].copy()).save(path)
    with pytest.raises(CheckpointError, match="holds a run that differs in data"):
        start(tmp_path / "run", check_rows(read_manifest(manifest)), tiny_sam, store, accelerator, epochs=1)


def test_how_files_are_read_stands_in_the_model_and_must_stay(manifest, tiny_sam, store, accelerator, tmp_path):
    rows = check_rows(read_manifest(manifest), make_reading(crop_border=True, window="percentile"))
    run = start(tmp_path / "run", rows, tiny_sam, store, accelerator)
    run.run()
    config = load_checkpoint(tmp_path / "run", tiny_sam).config
    assert (str(config.reading.window), config.reading.crop_border) == ("percentile", True)
    assert config.reading == rows[0].reading
    rows = check_rows(read_manifest(manifest), make_reading(crop_border=False, window="percentile"))
    with pytest.raises(CheckpointError, match=r"how files are read \(--window percentile --crop-border there,"):
        start(tmp_path / "run", rows, tiny_sam, store, accelerator)


def test_a_run_notes_its_images_and_goes_on_only_with_the_same_order(checked, tiny_sam, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator, epochs=1)
    run.run()
    assert read_training_images(tmp_path / "run") == TrainingImages.of(checked)
    with pytest.raises(CheckpointError, match="holds a run that differs in order of rows"):
        start(tmp_path / "run", checked[::-1], tiny_sam, store, accelerator, epochs=1)


def test_settings_tell_where_a_run_was_trained_and_a_finished_one_keeps_it(
    checked, tiny_sam, store, accelerator, tmp_path, monkeypatch
):
    begun = start(tmp_path, checked, tiny_sam, store, accelerator, epochs=1, views=1)
    begun.run()
    path = tmp_path / SETTINGS_FILE
    before = json.loads(path.read_text())
    assert before["environment"]["versions"]["torch"] == version("torch")
    assert before["data_sha256"] == begun._identity.data_sha256
    monkeypatch.setattr("promise_seg.environment._processor", lambda: "another machine")
    start(tmp_path, checked, tiny_sam, store, accelerator, epochs=1, views=1).run()
    assert json.loads(path.read_text()) == before
    path.unlink()
    start(tmp_path, checked, tiny_sam, store, accelerator, epochs=1, views=1).run()
    assert path.exists()


def test_where_the_rows_are_from_is_noted_and_no_part_of_what_a_run_is(checked, tiny_sam, store, accelerator, tmp_path):
    settings = first_settings(epochs=2, views=1)

    def of(origin):
        return TrainingRun(tmp_path, checked, tiny_sam, store, settings, accelerator, origin)

    def stop(_stage, done, *_):
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        of(DataOrigin(data="first.csv", val_share=0.2)).run(stop)
    first = read_note(tmp_path)
    of(DataOrigin(data="moved/first.csv")).run()
    second = read_note(tmp_path)
    assert first is not None
    assert second is not None
    assert (first.data, first.val_share, first.mask_threshold) == ("first.csv", 0.2, None)
    assert (second.data, second.val_share) == ("moved/first.csv", None)
    assert second.data_sha256 == first.data_sha256
    assert second.settings == settings


def test_a_run_of_another_variant_is_named_as_such(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator, variant="apm+ips").run()
    with pytest.raises(CheckpointError, match=r"holds a run that differs in variant \(\S+ there, \S+ now\)"):
        start(tmp_path / "a", checked, tiny_sam, store, accelerator, variant="apm")
