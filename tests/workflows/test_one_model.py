"""One model for all classes of label maps, from the command to label maps."""

import json
import shutil
from contextlib import nullcontext

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.checkpoint import load_checkpoint, read_weights
from promise_seg.cli.main import main
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.learning import training_classes
from promise_seg.learning.training_classes import ClassesRun
from promise_seg.prediction.surest import surest_labels
from promise_seg.prompting.apm_pretrained import PretrainedPrompter
from promise_seg.workflows import one_run
from promise_seg.workflows.calibrating import calibrate, tune_postprocess
from promise_seg.workflows.evaluation import evaluate
from promise_seg.workflows.model_ref import ModelRef
from promise_seg.workflows.models import ClassModels, load
from promise_seg.workflows.training import train
from tests.files import write_nifti
from tests.helpers import make_tiny_sam, strict_json
from tests.workflows.conftest import write_label_maps

ONE_MODEL = ("--one-model", "--apm", "pretrained", "--apm-side", "32", "--epochs", "1", "--batch-size", "3")


def run(*arguments):
    return main([str(one) for one in (*arguments, "--device", "cpu")])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model of the classes 1 and 3, its data, its SAM and its store."""
    place = tmp_path_factory.mktemp("one-model")
    make_tiny_sam().model.save_pretrained(place / "sam")
    manifest = write_label_maps(place / "data")
    for number, path in enumerate(sorted((place / "data/masks").iterdir())):
        if number % 2:  # a row without class 3
            labels = np.asarray(Image.open(path)).copy()
            labels[labels == 3] = 0
            Image.fromarray(labels).save(path)
    shared = ("--sam", place / "sam", "--store", place / "store", "--views", "1")
    with pytest.MonkeyPatch.context() as patch:  # each class looks for itself: what a test below compares with
        for module in (training_classes, one_run):
            patch.setattr(module, "caching_apm_outputs", nullcontext)
        assert run("train", manifest, "-o", place / "organs", "--class", "all", *ONE_MODEL, *shared) == 0
    return place


@pytest.fixture
def place(made, tmp_path):
    shutil.copytree(made / "organs", tmp_path / "organs")
    for name in ("sam", "data", "store"):
        (tmp_path / name).symlink_to(made / name)
    return tmp_path


def test_a_folder_of_one_model_names_a_model_of_each_class(made):
    assert strict_json(made / "organs/classes.json")["one_model"] is True
    ref = ModelRef.resolve(made / "organs")
    assert ref.labels == (1, 3)
    for label in ref.labels:
        noted = strict_json(made / f"organs/class-{label}/settings.json")
        assert noted["reading"]["label"] == label
        assert (made / f"organs/class-{label}/given_prompts.json").exists()
    assert (made / "organs/state.safetensors").exists()
    assert not (made / "organs/class-1/state.safetensors").exists()


def test_an_image_is_seen_once_and_labelled_as_by_each_model_alone(made, monkeypatch):
    models, image = load(made / "organs", device="cpu"), made / "data/images/0.png"
    assert isinstance(models, ClassModels)
    alone = {label: load(made / f"organs/class-{label}", device="cpu") for label in models}
    predictions = [one.predict(image) for one in alone.values()]
    probs, masks = (np.stack([getattr(one, name) for one in predictions]) for name in ("mask_probs", "mask"))
    looks, backbone = [], models[1].model.apm.backbone
    real = backbone.forward
    monkeypatch.setattr(backbone, "forward", lambda images: looks.append(images) or real(images))
    found = models.predict(image)
    assert len(looks) == 1
    assert models[3].model.apm.backbone.get_parameter(name := next(iter(dict(backbone.named_parameters())))) is (
        backbone.get_parameter(name)
    )
    assert np.array_equal(found.labels, surest_labels([1, 3], probs, masks))
    assert [found.origins[label].predicted_iou for label in models] == [one.predicted_iou for one in predictions]


@pytest.fixture
def looks(monkeypatch):
    """A list that gets an entry for each look at an image without learning from it."""
    looks, real = [], PretrainedPrompter.trunk_features

    def see(self, features):
        if not self.training:
            looks.append(1)
        return real(self, features)

    monkeypatch.setattr(PretrainedPrompter, "trunk_features", see)
    return looks


def results(folder):
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("best/*") if one.is_file()}


@pytest.mark.slow
def test_all_that_is_measured_of_a_model_of_several_classes_takes_one_look_at_an_image(made, looks, tmp_path):
    data, shared = made / "data/manifest.csv", ("--sam", made / "sam", "--store", made / "store", "--views", "1")
    val = len(Dataset.from_csv(data, classes="all").val)
    assert run("train", data, "-o", tmp_path / "again", "--class", "all", *ONE_MODEL, *shared) == 0
    assert len(looks) == 3 * val  # when the epoch is scored, the best model is measured, and calibrated
    assert results(tmp_path / "again") == results(made / "organs")


@pytest.mark.slow
def test_evaluation_and_tuning_take_one_look_at_an_image(place, looks):
    data = Dataset.from_csv(place / "data/manifest.csv", classes="all")
    organs, how = place / "organs", {"store": place / "store", "device": "cpu"}
    found = evaluate(organs, data, **how)
    assert len(looks) == len(data.test)
    for label, one in found.items():
        alone = evaluate(organs / f"class-{label}", data, **how)
        assert one.records() == alone.records()
    looks.clear()
    tune_postprocess(organs, data, **how)
    assert len(looks) == len(data.val)
    looks.clear()
    calibrate(organs, data, **how)
    assert len(looks) == len(data.val)


@pytest.mark.slow
def test_it_goes_through_every_command(place, capsys):
    model, data = place / "organs", place / "data/manifest.csv"
    assert run("train", data, "-o", model, "--class", "all", *ONE_MODEL, "--sam", place / "sam", "--views", "1") == 0
    assert "this run is already finished" in capsys.readouterr().err
    assert run("evaluate", model, data, "-o", place / "scores") == 0
    assert run("tune-postprocess", model, data) == 0
    assert run("calibrate", model, data) == 0
    assert run("report", model, data, "-o", place / "report", "--worst", "1") == 0
    for label in (1, 3):
        summary = strict_json(place / f"scores/class-{label}/summary_apm.json")
        assert summary["images"] == 2
        document = json.loads((place / f"report/class-{label}/report.json").read_text())
        assert document["evaluations"][0]["reading"]["label"] == label
    volume = np.random.default_rng(5).integers(0, 200, (20, 24, 3)).astype(np.uint8)
    write_nifti(place / "scans/ct.nii", volume, np.diag([-0.8, -0.5, 3.0, 1.0]))
    for way in ("each", "agree"):
        assert run("predict", model, place / "scans", "-o", place / way, "--slices", way, "--always-segment") == 0
        labels = np.asarray(nib.load(place / way / "masks/ct.nii.gz").dataobj)
        assert labels.shape == volume.shape
        assert set(np.unique(labels)) <= {0, 1, 3}
        assert labels.any()
    assert run("predict", model, place / "data/images", "-o", place / "objects", "--instances") == 2
    assert "has a model for each of 2 classes" in capsys.readouterr().err


def test_models_are_not_mixed_with_those_that_were_trained_otherwise(place):
    classes = Dataset.from_csv(place / "data/manifest.csv", classes="all")
    shared = {"sam": str(place / "sam"), "store": place / "store", "views": 1, "epochs": 1, "batch_size": 3}
    how = {"apm": "pretrained", "apm_side": 32, "device": "cpu"} | shared
    with pytest.raises(CheckpointError, match="contains one model for all classes; give --one-model to resume it"):
        train(classes, place / "organs", **how)
    with pytest.raises(CheckpointError, match=r"holds a run that differs in .*how files are read"):
        train(classes.of_class(1), place / "organs", **how)
    with pytest.raises(CheckpointError, match="holds a run that differs in seed"):
        train(classes, place / "organs", one_model=True, seed=4, **how)
    with pytest.raises(SettingsError, match="is for label maps with several classes; add --class all"):
        train(classes.of_class(1), place / "new", one_model=True, **how)
    assert not (place / "new/classes.json").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"variant": "ips"}, "the variant ips has no auto-prompter that classes could share. Choose apm or apm"),
        ({"apm": "peaks"}, "--apm peaks is learned for one class. Choose --apm pretrained"),
        ({"apm": "pretrained", "train_also": "decoder"}, "--train-also decoder changes SAM for one class"),
    ],
)
def test_what_classes_cannot_share_is_refused_before_anything_is_read(tmp_path, values, words):
    with pytest.raises(SettingsError, match=f"^--one-model: {words}"):
        train(tmp_path / "no.csv", tmp_path / "run", one_model=True, **values)


@pytest.mark.slow
@pytest.mark.parametrize("init", ["organs", "organs/class-3"])
def test_classes_start_from_their_own_models_or_all_from_one(place, init):
    fresh = Dataset.from_csv(write_label_maps(place / "fresh"), classes="all")  # with both classes in every row
    before = {label: read_weights(place / f"organs/class-{label}/best") for label in (1, 3)}
    begun, real = [], ClassesRun.encode

    def encode(self, *args):
        begun.extend({name: one.clone() for name, one in model.trainable_state().items()} for model in self.networks)
        return real(self, *args)

    notes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassesRun, "encode", encode)
        train(
            fresh, place / "next", one_model=True, init=place / init, epochs=1, batch_size=3, views=1, device="cpu",
            sam=str(place / "sam"), store=place / "store", note=notes.append,
        )  # fmt: skip
    for label, found in zip((1, 3), begun, strict=True):
        expected = before[label if init == "organs" else 3]
        assert set(found) == set(expected)
        assert all(torch.equal(one, expected[name]) for name, one in found.items())
        noted = strict_json(place / f"next/class-{label}/settings.json")
        start = place / init / (f"class-{label}" if init == "organs" else "")
        assert noted["init"]["ref"] == str(start)
        assert noted["init"]["sha256"] == noted["init_sha256"] == load_checkpoint(start).sha256()
    assert any(note.startswith("class 3 starts from") for note in notes)
