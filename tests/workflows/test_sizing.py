"""The input size follows from the objects, is said, and stays what it was in a run that goes on."""

import gc
import json
import weakref

import pytest
import torch

import promise_seg
from promise_seg.learning import object_sizes
from promise_seg.vocabulary import Fit
from promise_seg.workflows import sizing
from promise_seg.workflows.feature_plans import FeatureWork
from promise_seg.workflows.sizing import Sizing
from promise_seg.workflows.training import train
from tests.helpers import first_settings, make_tiny_sam, write_dataset
from tests.sam.tiny import tiny_sam2

FEW = {"variant": "ips", "epochs": 1, "views": 1, "batch_size": 3, "device": "cpu"}


@pytest.fixture
def sam(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    return str(tmp_path / "sam")


def test_small_objects_are_seen_larger_and_the_user_is_told(tmp_path, sam, monkeypatch):
    manifest, notes = write_dataset(tmp_path / "data"), []
    monkeypatch.setattr(object_sizes, "LEAST_SIZE", 20.0)
    train(manifest, tmp_path / "run", sam=sam, note=notes.append, **FEW)
    assert json.loads((tmp_path / "run/settings.json").read_text())["image_size"] == 64
    assert any(note.startswith("--image-size 64: SAM sees the images at 64 px") for note in notes)
    monkeypatch.setattr(object_sizes, "LEAST_SIZE", 0.0)
    again = []
    model = train(manifest, tmp_path / "run", sam=sam, note=again.append, **FEW)
    assert model.model.config.image_size == 64
    assert any("already finished" in note for note in again)
    assert not any("--image-size" in note for note in again)


def test_a_size_that_is_given_is_taken(tmp_path, sam, monkeypatch):
    manifest, notes = write_dataset(tmp_path / "data"), []
    monkeypatch.setattr(object_sizes, "LEAST_SIZE", 20.0)
    model = train(manifest, tmp_path / "run", sam=sam, image_size=32, note=notes.append, **FEW)
    assert model.model.config.image_size == 32
    assert not any("--image-size" in note for note in notes)


@pytest.mark.slow
def test_the_auto_prompter_sees_small_objects_larger_too(tmp_path, sam, monkeypatch):
    manifest, notes = write_dataset(tmp_path / "data"), []
    monkeypatch.setattr(object_sizes, "LEAST_SIZE", 150.0)
    values = FEW | {"variant": "apm", "apm": "pretrained", "image_size": 32}
    model = train(manifest, tmp_path / "run", sam=sam, note=notes.append, **values)
    assert model.model.config.apm.side == 512
    assert any(note.startswith("--apm-side 512: the APM sees the images at 512 px") for note in notes)
    monkeypatch.setattr(object_sizes, "LEAST_SIZE", 0.0)
    assert train(manifest, tmp_path / "run", sam=sam, **values).model.config.apm.side == 512


def test_medsam2_keeps_its_only_size(tmp_path, checked, monkeypatch):
    tiny_sam2().save_pretrained(tmp_path / "MedSAM2")
    monkeypatch.setattr(object_sizes, "LEAST_SIZE", 1000.0)
    notes = []
    sizing = Sizing([row for row in checked if row.row.split == "train"], tmp_path / "run", notes.append)
    sam = sizing.load_sam(str(tmp_path / "MedSAM2"), torch.device("cpu"), None, first_settings())
    assert sam.image_size == 512
    assert notes == []


@pytest.mark.parametrize("work", ["train", "encode"])
def test_the_size_is_chosen_for_the_fit_of_the_training(tmp_path, sam, monkeypatch, work):
    manifest, asked = write_dataset(tmp_path / "data"), []

    def noting(_rows, fit):
        asked.append(fit)
        raise KeyboardInterrupt

    monkeypatch.setattr(sizing, "usual_object_size", noting)
    options = {"sam": sam, "device": "cpu", "store": tmp_path / "store", "fit": "pad"}

    def begin():
        if work == "train":
            promise_seg.train(manifest, tmp_path / "run", **options)
        else:
            FeatureWork(manifest, **options).encode()

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert asked == [Fit.PAD]


@pytest.mark.slow  # it reads a data set and loads SAM twice
@pytest.mark.parametrize("work", ["train", "encode"])
def test_a_sam_that_is_replaced_by_one_of_another_size_is_not_kept_in_memory(tmp_path, monkeypatch, work):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    manifest = write_dataset(tmp_path / "data")
    loaded, alive = [], []
    load = sizing.load_sam

    def noting(*args):
        found = load(*args)
        loaded.append(weakref.ref(found))
        return found

    def at_work(*_args, **_values):
        gc.collect()
        alive.extend(ref() is not None for ref in loaded)
        raise KeyboardInterrupt

    monkeypatch.setattr(sizing, "load_sam", noting)
    monkeypatch.setattr(sizing.Sizing, "_side", lambda _self, usual: 2 * usual)
    monkeypatch.setattr("promise_seg.workflows.training._train_all", at_work)
    monkeypatch.setattr("promise_seg.workflows.feature_plans.TrainingSet", at_work)
    options = {"sam": str(tmp_path / "sam"), "device": "cpu", "store": tmp_path / "store"}

    def begin():
        if work == "train":
            promise_seg.train(manifest, tmp_path / "run", **options)
        else:
            FeatureWork(manifest, **options).encode()

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert alive == [False, True]
