"""Whatever names a model works in every command: a run, one model per class, a bare SAM, a published file."""

import json
import shutil

import pytest

from promise_seg.cli.main import main
from promise_seg.compat.reference_writing import to_reference
from promise_seg.vocabulary import Variant
from promise_seg.workflows.models import load
from promise_seg.workflows.training import train
from tests.helpers import make_tiny_sam
from tests.workflows.conftest import FEW, write_label_maps

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A set of the classes 1 and 3, its data, and its SAM."""
    place = tmp_path_factory.mktemp("any-model")
    make_tiny_sam().model.save_pretrained(place / "sam")
    shared = FEW | {"sam": str(place / "sam"), "store": place / "store"}
    manifest = write_label_maps(place / "data")
    from promise_seg.dataset.dataset import Dataset

    train(Dataset.from_csv(manifest, classes="all"), place / "set", variant=Variant.APM, **shared)
    return place


@pytest.fixture
def place(finished, tmp_path):
    shutil.copytree(finished / "set", tmp_path / "set")
    (tmp_path / "data").symlink_to(finished / "data")
    return tmp_path


def run(*arguments):
    return main([str(one) for one in (*arguments, "--device", "cpu")])


def test_a_format_that_holds_no_instance_maps_is_refused_before_a_model_is_looked_for(tmp_path, capsys):
    for name in ("nrrd", "dicom-seg"):
        assert run("predict", tmp_path, tmp_path, "-o", tmp_path / "o", "--instances", "--format", name) == 2
        assert f"--format {name}: holds named segments" in capsys.readouterr().err


@pytest.mark.slow
def test_a_set_of_models_goes_through_every_command(place, capsys):
    models, data = place / "set", place / "data/manifest.csv"
    assert run("tune-postprocess", models, data) == 0
    error = capsys.readouterr().err
    assert error.count("post-processing: ") == 2
    assert error.count("written: ") == 2
    assert run("calibrate", models, data) == 0
    assert run("evaluate", models, data, "-o", place / "scores") == 0
    assert run("budget", models, data, "-o", place / "budget") == 0
    assert run("report", models, data, "-o", place / "report", "--worst", "1") == 0
    for label in (1, 3):
        assert (place / f"budget/class-{label}/budget.json").exists()
        document = json.loads((place / f"report/class-{label}/report.json").read_text())
        assert document["card"]["model"] == str(models / f"class-{label}")
        assert document["evaluations"][0]["reading"]["label"] == label
        assert (place / f"report/class-{label}/report.html").exists()
        assert (place / f"scores/class-{label}/summary_apm.json").exists()
    assert run("predict", models, place / "data/images/0.png", "-o", place / "masks") == 0
    capsys.readouterr()
    assert run("predict", models, place / "data/images/0.png", "-o", place / "objects", "--instances") == 2
    assert "has a model for each of 2 classes" in capsys.readouterr().err
    one = ("predict", models / "class-1", place / "data/images/0.png", "-o", place / "objects", "--instances")
    assert run(*one) == 0
    assert (place / "objects" / "objects.csv").exists()
    assert run(*one) == 0
    assert main(["convert", str(models), "-o", str(place / "x.pt"), "--to", "reference"]) == 2
    assert "holds a model for each of several classes" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bare_sam_goes_where_it_makes_sense(place, finished, capsys):
    sam = ("--sam", finished / "sam")
    data = place / "data/manifest.csv"
    assert run("budget", "bare", data, "-o", place / "budget", "--class", "3", *sam) == 0
    for command, options, words in (
        ("calibrate", (data,), "a SAM alone learns nothing"),
        ("tune-postprocess", (data,), "a SAM alone learns nothing"),
        ("predict", (place / "data/images", "-o", place / "p"), "has no auto-prompting module: it needs prompts"),
    ):
        assert run(command, "bare", *options, *sam) == 2
        assert words in capsys.readouterr().err
    assert main(["convert", "bare", "-o", str(place / "x.pt"), "--to", "reference"]) == 2
    assert "nothing to convert" in capsys.readouterr().err


@pytest.mark.parametrize("apm", ["cross", pytest.param("resnet", marks=pytest.mark.slow)])
def test_a_file_of_the_published_code_goes_where_it_makes_sense(apm, place, finished, capsys):
    data = place / "data/manifest.csv"
    shared = FEW | {"sam": str(finished / "sam"), "store": finished / "store"}
    from promise_seg.dataset.dataset import Dataset

    train(Dataset.from_csv(data, classes=1), place / "run", variant="apm", apm=apm, **shared)
    to_reference(load(place / "run", device="cpu").model, place / "model.pt")
    capsys.readouterr()
    for command in ("evaluate", "budget", "report"):
        assert run(command, place / "model.pt", data, "-o", place / command) == 0
    for command in ("calibrate", "tune-postprocess"):
        assert run(command, place / "model.pt", data) == 2
        assert "promise convert it first" in capsys.readouterr().err


@pytest.mark.slow
def test_training_starts_from_a_model(place, finished, capsys):
    shared = ("--sam", finished / "sam", "--epochs", "2", "--batch-size", "3", "--views", "2")
    started = ("train", place / "data/manifest.csv", "-o", place / "next", "--init", place / "set/class-1")
    assert run(*started, "--class", "1", "--variant", "apm+ips", *shared) == 0
    error = capsys.readouterr().err
    assert "unless other options are given: window own" in error
    assert "taken over apm" in error
    assert run("report", place / "next", place / "data/manifest.csv", "-o", place / "report", "--no-budget") == 0
    commands = json.loads((place / "report/report.json").read_text())["card"]["commands"]
    assert f"--init {place / 'set/class-1'}" in commands[0]
    assert "--window own" in commands[0]
    assert run(*started, "--class", "1", "--variant", "ips", *shared) == 2
    assert "promise: error:" in capsys.readouterr().err


def test_an_evaluation_names_rows_that_cannot_be_used_together_with_broken_files(manifest, tmp_path, capsys):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    manifest.write_text(manifest.read_text().rstrip("\n") + "\nimages/0.png,test,\n")
    (manifest.parent / "images/1.png").write_text("no image")
    options = ("--prompts", "oracle", "--split", "all", "--sam", tmp_path / "sam", "-o", tmp_path / "scores")
    assert run("evaluate", "bare", manifest, *options) == 2
    error = capsys.readouterr().err
    assert "2 problems" in error
    assert "mask_name are empty" in error
    assert "not an image that can be read" in error
