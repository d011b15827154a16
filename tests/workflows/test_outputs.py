"""Results never go where they would be lost."""

import shutil
from pathlib import Path

import pytest

from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import NoImagesError, PromiseError, SettingsError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.workflows.budget import budget
from promise_seg.workflows.evaluation import evaluate
from promise_seg.workflows.outputs import (
    check_apart_from_data,
    check_output_place,
    check_run_folder,
    refuse_checkpoints,
)
from promise_seg.workflows.predicting import predict_folder
from promise_seg.workflows.training import train

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_checkpoint_of_a_run_is_no_place_for_results(place, few, name):
    run, within = place / "apm", place / "apm" / name
    before = sorted(path.name for path in within.iterdir())
    shared = {name: few[name] for name in ("sam", "device")}
    calls = (
        lambda: train(place / "data/manifest.csv", within, **few),
        lambda: evaluate(run, place / "data/manifest.csv", output=within, **shared),
        lambda: budget(run, place / "data/manifest.csv", output=within, **shared),
        lambda: predict_folder(run, place / "data/images", within, **shared),
    )
    for call in calls:
        with pytest.raises(SettingsError, match=rf"-o {within}: is a checkpoint of the run {run}, .*another folder"):
            call()
    assert sorted(path.name for path in within.iterdir()) == before


def test_a_model_without_a_run_may_hold_results_but_no_training(place):
    alone = place / "alone"
    (place / "apm/best").rename(alone)
    refuse_checkpoints(alone)
    with pytest.raises(SettingsError, match=rf"holds a model that was not trained there.*--init {alone}"):
        check_run_folder(alone)
    check_run_folder(place / "apm")
    check_run_folder(place / "new")


def test_a_file_is_no_place_for_predictions(place, few):
    image = next((place / "data/images").iterdir())
    before = image.read_bytes()
    for output, message in (
        (image, "is a file; expected a folder"),
        (image / "in", f"cannot write: {image} is a file"),
    ):
        with pytest.raises(PromiseError, match=f"^-o {output}: {message}. Choose another place$"):
            predict_folder(place / "apm", place / "data/images", output, sam=few["sam"])
    assert image.read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no such folder here")
def test_a_folder_that_cannot_be_created_names_the_folder_above_it(place, few):
    message = "^-o /proc/x/y: cannot write: nothing can be created in /proc .*Choose another place$"
    for call in (
        lambda: train(place / "data/manifest.csv", "/proc/x/y", **few),
        lambda: predict_folder(place / "apm", place / "data/images", "/proc/x/y", sam=few["sam"]),
        lambda: check_output_place("/proc/x/y"),
    ):
        with pytest.raises(PromiseError, match=message):
            call()


@pytest.mark.parametrize("part", ["best", "last", "class-3/last"])
def test_a_training_that_would_replace_its_data_is_refused(place, few, part):
    within = place / "taken" / part
    shutil.copytree(place / ("classes" if "class" in part else "data"), within)
    data = Dataset.from_csv(within / "manifest.csv", classes="all" if "class" in part else None)
    before = sorted(within.rglob("*"))
    with pytest.raises(SettingsError, match=rf"training replaces .*{part} with all that is in it, and {within}/"):
        train(data, place / "taken", **few)
    assert sorted(within.rglob("*")) == before
    assert [path.name for path in (place / "taken").iterdir()] == [part.split("/")[0]]


def test_a_new_run_among_its_images_is_refused(place, few):
    home = place / "home"
    shutil.copytree(place / "data", home)
    before = sorted(home.rglob("*"))
    for folder in (home, home / "images"):
        with pytest.raises(
            SettingsError, match=rf"-o {folder}: contains files of the data, such as {home}/.*Choose another"
        ):
            train(home / "manifest.csv", folder, **few)
    assert sorted(home.rglob("*")) == before
    check_apart_from_data(home / "run", Dataset.from_csv(home / "manifest.csv"), pytest.fail)


def test_a_run_that_is_among_its_images_already_is_noted_as_searches_leave_it_out(place, few):
    home, notes = place / "home/set", []
    shutil.copytree(place / "data", home)
    images = len(find_inputs([place / "home"]))
    shutil.copytree(place / "apm", home, dirs_exist_ok=True)
    check_apart_from_data(home, Dataset.from_csv(home / "manifest.csv"), notes.append)
    assert len(notes) == 1
    assert f"-o {home}: contains files of the data, such as {home}/" in notes[0]
    assert images > 0
    with pytest.raises(NoImagesError):
        find_inputs([place / "home"])
