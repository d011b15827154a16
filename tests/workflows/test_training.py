"""Training as a function, and training that starts from a model."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.checkpoint import load_checkpoint, read_weights
from promise_seg.compat.reference_writing import to_reference
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, encode_missing
from promise_seg.learning import training as loop
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training_images import read_training_images
from promise_seg.vocabulary import Fit, Variant
from promise_seg.workflows.evaluation import evaluate
from promise_seg.workflows.models import ClassModels, Model, load
from promise_seg.workflows.training import train
from promise_seg.workflows.training_settings import first_notes, settings_for
from tests.helpers import make_tiny_sam, strict_json, write_dataset


@pytest.fixture
def fresh(place):
    """Other images than those that the runs were trained on."""
    return write_dataset(place / "fresh", first=40)


@pytest.fixture
def first_weights(monkeypatch):
    """The trained tensors of each run before its first step."""
    found = []
    real = loop.TrainingRun.encode

    def encode(self, *args):
        found.append({name: value.clone() for name, value in self.model.trainable_state().items()})
        return real(self, *args)

    monkeypatch.setattr(loop.TrainingRun, "encode", encode)
    return found


def parts_of(names):
    return {name.split(".")[0] for name in names}


@pytest.mark.slow
def test_the_best_model_is_returned_and_a_finished_run_goes_on(place, fresh, few):
    told, notes = [], []
    model = train(fresh, place / "new", **few, progress=lambda *facts: told.append(facts[0]), note=notes.append)
    assert isinstance(model, Model)
    assert model.part.checkpoint == place / "new/best"
    assert model.trust_model is not None
    measured = {"measuring answers to prompts", "trying a second pass"}
    assert set(told) == {"checking", "measuring", "encoding", "training", "calibrating"} | measured
    assert model.model.sha256() == load_checkpoint(place / "new").sha256()
    again = train(Dataset.from_csv(fresh), place / "new", **few, note=notes.append)
    assert again.model.sha256() == model.model.sha256()
    assert any("already finished" in note for note in notes)


@pytest.mark.slow
def test_test_rows_are_not_read_by_a_training_that_measures_and_calibrates(place, fresh, few):
    data = Dataset.from_csv(fresh)
    for row in data.test:
        row.row.image.unlink()
        row.row.mask.unlink()
    model = train(data, place / "new", apm="pretrained", apm_side=32, **few | {"epochs": 1})
    assert model.model.config.given
    assert model.trust_model is not None


@pytest.mark.slow
def test_a_run_without_val_rows_says_what_it_took(place, fresh, few):
    fresh.write_text(fresh.read_text().replace(",val,", ",train,"))
    notes = []
    train(fresh, place / "new", **few, val_share=0.3, note=notes.append)
    assert any(f"no val rows in {fresh}: took" in note for note in notes)
    assert strict_json(place / "new/settings.json")["val_share"] == 0.3


def test_half_of_other_points_are_foreground_whatever_the_start_had():
    before = {"apm": "heatmap", "num_points": 16, "num_foreground": 8}
    start = SimpleNamespace(first=SimpleNamespace(settings=before))
    assert settings_for("own", start, {"points": 4}).num_foreground == 2
    assert settings_for("own", start, {"points": 4, "foreground": 1}).num_foreground == 1
    assert settings_for("own", start, {}).num_foreground == 8


@pytest.mark.slow
def test_an_apm_that_the_variant_lacks_is_said_to_have_no_effect(place, fresh, few):
    notes = []
    of_apm = {"apm": "heatmap", "point_weight": 2.0, "saliency_weight": 0.5}
    train(fresh, place / "new", **few | {"variant": "ips"} | of_apm, note=notes.append)
    for option in ("--apm heatmap", "--point-weight 2.0", "--saliency-weight 0.5"):
        assert f"{option} has no effect: the variant ips has no auto-prompting module" in notes


@pytest.mark.parametrize(("apm", "is_told"), [("resnet", True), ("cross", True), ("heatmap", False), ("peaks", False)])
def test_a_weight_of_saliency_is_said_to_have_no_effect_where_there_is_none(apm, is_told):
    given = {"apm": apm, "point_weight": None, "saliency_weight": 2.0, "inverted_views": None}
    notes = list(first_notes(make_settings(apm=apm), None, given))
    assert ["--saliency-weight 2.0 has no effect" in note for note in notes] == [True] * is_told


@pytest.mark.parametrize(("apm", "is_told"), [("pretrained", True), ("heatmap", False)])
def test_a_weight_of_points_is_said_to_have_no_effect_where_maps_alone_are_learned(apm, is_told):
    notes = list(
        first_notes(
            make_settings(apm=apm),
            None,
            {"apm": apm, "point_weight": 2.0, "saliency_weight": None, "inverted_views": None},
        )
    )
    assert ["--point-weight 2.0 has no effect" in note for note in notes] == [True] * is_told


def test_classes_are_trained_one_by_one(place):
    models = load(place / "set", device="cpu")
    assert isinstance(models, ClassModels)
    assert [model.model.config.reading.label for model in models.values()] == [1, 3]
    lines = [json.loads(line) for line in (place / "set.jsonl").read_text().splitlines()]
    assert {line["class"] for line in lines if line["event"] == "epoch"} == {1, 3}


def test_views_that_were_encoded_for_a_class_are_not_encoded_for_the_next(place, tiny_sam, tmp_path):
    data = Dataset.from_csv(place / "classes/manifest.csv", classes="all")
    store = FeatureStore(tmp_path / "fresh-store")
    encoded = {}
    for label in (1, 3):
        rows = data.of_class(label).train
        views = [Sample.of(row, tiny_sam, Fit.STRETCH, number) for row in rows for number in range(2)]
        encoded[label] = encode_missing(views, tiny_sam, store)
        assert len(views) > 0
    assert encoded[1] > 0
    assert encoded[3] == 0


@pytest.mark.slow
def test_ips_is_added_to_an_apm(place, fresh, few, first_weights):
    notes = []
    model = train(fresh, place / "both", init=place / "apm", variant="apm+ips", **few, note=notes.append)
    before = read_weights(place / "apm/best")
    (begun,) = first_weights
    assert parts_of(begun) == {"apm", "ips", "ips_given", "quality"}
    for name, value in begun.items():
        if name.startswith("apm."):
            assert torch.equal(value, before[name]), name
    noted = strict_json(place / "both/settings.json")["init"]
    assert (noted["ref"], noted["sha256"]) == (str(place / "apm"), load_checkpoint(place / "apm").sha256())
    assert parts_of(noted["taken"]) == {"apm", "quality"}
    assert (parts_of(noted["new"]), noted["left_out"]) == ({"ips", "ips_given"}, [])
    assert model.model.config.variant == Variant.APM_IPS
    assert any("taken over apm" in note and "new ips" in note for note in notes)
    assert all(torch.equal(before[name], value) for name, value in read_weights(place / "apm/best").items())


@pytest.mark.slow
def test_what_is_new_begins_as_without_a_start(place, fresh, few, first_weights):
    train(fresh, place / "with", init=place / "apm", variant="apm+ips", **few)
    train(fresh, place / "without", variant="apm+ips", **few)
    started, alone = first_weights
    assert all(torch.equal(started[name], alone[name]) for name in alone if name.startswith("ips."))


@pytest.mark.slow
def test_more_epochs_go_on_from_the_best_with_a_new_schedule(place, few, first_weights):
    model = train(place / "data/manifest.csv", place / "more", init=load(place / "apm", device="cpu"), **few)
    (begun,) = first_weights
    before = read_weights(place / "apm/best")
    assert all(torch.equal(value, before[name]) for name, value in begun.items())
    lines = [json.loads(line) for line in (place / "more/log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert model.model.config.variant == Variant.APM  # as the model to start from
    assert "init" not in strict_json(place / "apm/settings.json")


@pytest.mark.slow
def test_what_is_not_said_is_as_the_model_to_start_from(place, fresh, few):
    start = {"apm": "cross", "points": 6, "foreground": 2, "fit": "pad"}
    data = Dataset.from_csv(fresh, window="percentile", crop_border=True)
    train(data, place / "start", variant="apm", **start, **few)
    notes = []
    model = train(place / "data/manifest.csv", place / "next", init=place / "start", **few, note=notes.append)
    config = model.model.config
    assert (config.apm.kind, config.apm.num_points, config.apm.num_foreground, config.fit) == ("cross", 6, 2, "pad")
    assert (str(config.reading.window), config.reading.crop_border) == ("percentile", True)
    assert "window percentile" in notes[0]
    assert "apm cross with 6 points" in notes[0]
    other = train(place / "data/manifest.csv", place / "other", init=place / "start", fit="stretch", **few)
    assert other.model.config.fit == "stretch"


def test_a_start_of_which_nothing_fits_is_refused_with_the_way_out(place, fresh, few):
    with pytest.raises(
        SettingsError, match=r"--init .*ips: nothing of it fits: it is ips, and apm with the APM heatmap"
    ):
        train(fresh, place / "new", init=place / "ips", variant="apm", **few)
    with pytest.raises(SettingsError, match="nothing to start from; give it with --sam"):
        train(fresh, place / "new", init="bare", **few)
    with pytest.raises(CheckpointError, match="contains no checkpoint"):
        train(fresh, place / "new", init=place / "nothing", **few)
    with pytest.raises(CheckpointError, match=r"sam/config\.json: not of a checkpoint .*; a SAM is given with --sam"):
        train(fresh, place / "new", init=place / "sam", **few)
    assert not (place / "new").exists()


def test_an_option_of_the_apm_that_hinders_is_named(place, fresh, few):
    train(fresh, place / "peaks", variant="apm", apm="peaks", apm_distance=0.3, **few | {"epochs": 1})
    words = r"it is apm with the APM peaks \(distance 0.3\), and apm with the APM peaks \(distance 0.5\) is to be"
    with pytest.raises(SettingsError, match=words):
        train(place / "data/manifest.csv", place / "new", init=place / "peaks", apm_distance=0.5, **few)


@pytest.mark.slow
def test_another_kind_of_apm_is_left_out(place, fresh, few):
    train(fresh, place / "both", variant="apm+ips", **few)
    train(fresh, place / "cross", init=place / "both", apm="cross", **few)
    noted = strict_json(place / "cross/settings.json")["init"]
    assert (parts_of(noted["taken"]), parts_of(noted["new"]), parts_of(noted["left_out"])) == (
        {"ips", "ips_given", "quality"},
        {"apm"},
        {"apm"},
    )


def test_a_start_on_another_sam_is_refused_with_the_way_out(place, fresh, few):
    make_tiny_sam(9).model.save_pretrained(place / "other")
    with pytest.raises(SettingsError, match=r"was trained on the SAM .*Give --sam \S*sam"):
        train(fresh, place / "new", init=place / "apm", **few | {"sam": str(place / "other")})


@pytest.mark.slow
def test_a_run_keeps_its_start_and_another_is_refused(place, fresh, few, monkeypatch):
    real, calls = loop.validate, []

    def interrupt_once(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    whole = train(fresh, place / "whole", init=place / "apm", **few)
    monkeypatch.setattr(loop, "validate", interrupt_once)
    with pytest.raises(KeyboardInterrupt):
        train(fresh, place / "new", init=place / "apm", **few)
    with pytest.raises(CheckpointError, match="holds a run that differs in init"):
        train(fresh, place / "new", init=place / "apm/last", **few)
    with pytest.raises(CheckpointError, match="holds a run that differs in init"):
        train(fresh, place / "new", variant="apm", **few)
    notes = []
    model = train(fresh, place / "new", init=place / "apm", **few, note=notes.append)
    assert any("resuming after epoch 1" in note for note in notes)
    assert model.model.sha256() == whole.model.sha256()


@pytest.mark.slow
def test_images_of_the_start_are_known_for_ever_after(place, fresh, few):
    train(fresh, place / "second", init=place / "apm", **few)
    images = read_training_images(place / "second")
    first = read_training_images(place / "apm")
    assert (images.init_train, images.init_val) == (first.train, first.val)
    third = write_dataset(place / "third-data", first=80)
    train(third, place / "third", init=place / "second", **few)
    known = read_training_images(place / "third")
    assert known.init_train == images.train | first.train
    found = evaluate(place / "third", place / "data/manifest.csv", split="train", device="cpu")
    assert found.summary.seen_in_training.trained_on == 6
    assert "6 of them by the model that training started from" in found.summary.seen_in_training.note


@pytest.mark.slow
def test_val_rows_that_the_start_was_trained_on_are_refused_and_test_rows_named(place, few):
    rows = place / "mixed.csv"
    text = (place / "data/manifest.csv").read_text().replace("images/", "data/images/").replace("masks/", "data/masks/")
    rows.write_text(text.replace(",train,", ",moved,", 2).replace(",val,", ",train,").replace(",moved,", ",val,"))
    with pytest.raises(SettingsError, match=r"was trained on 2 of the 2 val rows .*--val-share and --seed"):
        train(rows, place / "new", init=place / "apm", **few)
    rows.write_text(text.replace(",train,", ",moved,", 2).replace(",test,", ",train,").replace(",moved,", ",test,"))
    notes = []
    train(rows, place / "new", init=place / "apm", **few, note=notes.append)
    assert any("was trained on 2 of the 2 test rows" in note for note in notes)


@pytest.mark.parametrize("apm", ["cross", pytest.param("resnet", marks=pytest.mark.slow)])
def test_a_file_of_the_published_code_is_a_start(apm, place, fresh, few, first_weights):
    data = Dataset.from_csv(place / "data/manifest.csv")
    theirs = train(data, place / "theirs", variant="apm+ips", apm=apm, protocol="reference", **few)
    to_reference(theirs.model, place / "model.pt")
    first_weights.clear()
    notes = []
    model = train(fresh, place / "new", init=place / "model.pt", **few, note=notes.append)
    (begun,) = first_weights
    before = read_weights(place / "theirs/best")
    assert all(torch.allclose(value, begun[name]) for name, value in before.items())
    assert model.model.config.apm.kind == apm
    assert any("is not known" in note for note in notes)
    make_tiny_sam(9).model.save_pretrained(place / "other")
    with pytest.raises(SettingsError, match="promise convert"):
        train(fresh, place / "other-run", init=place / "model.pt", **few | {"sam": str(place / "other")})


@pytest.mark.slow
def test_parts_of_sam_that_were_trained_are_taken_over_where_they_are_trained_again(place, fresh, few, first_weights):
    train(fresh, place / "decoder", train_also="decoder", variant="ips", **few)
    first_weights.clear()
    third = write_dataset(place / "third-data", first=80)
    train(third, place / "on", init=place / "decoder", train_also="decoder", **few)
    before = read_weights(place / "decoder/best")
    assert all(torch.equal(value, before[name]) for name, value in first_weights[0].items())
    train(third, place / "off", init=place / "decoder", **few)
    assert parts_of(strict_json(place / "off/settings.json")["init"]["left_out"]) == {"sam"}


@pytest.mark.slow
def test_each_class_starts_from_its_own(place, few, first_weights):
    folder = place / "fresh-classes"
    shutil.copytree(place / "classes", folder)
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        image = np.asarray(Image.open(path)).copy()
        image[-1, -1] = number
        Image.fromarray(image).save(path)
    data = Dataset.from_csv(folder / "manifest.csv", classes="all")
    train(data, place / "next", init=place / "set", **few)
    for begun, label in zip(first_weights, (1, 3), strict=True):
        before = read_weights(place / f"set/class-{label}/best")
        assert all(torch.equal(value, before[name]) for name, value in begun.items())
    with pytest.raises(SettingsError, match="models of the classes 1, 3, but no class is named"):
        train(place / "data/manifest.csv", place / "binary", init=place / "set", **few)


def test_a_window_is_named_for_dark_images_unless_one_is_given(place, few):
    dark, own, stretched = write_dataset(place / "dark", first=60), [], []
    for path in (place / "dark/images").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) // 5).save(path)
    few = few | {"variant": "ips"}
    train(dark, place / "own", **few, note=own.append)
    train(Dataset.from_csv(dark, window="percentile"), place / "stretched", **few, note=stretched.append)
    assert sum(note.startswith("low contrast: ") for note in own) == 1
    assert not any("low contrast" in note for note in stretched)
