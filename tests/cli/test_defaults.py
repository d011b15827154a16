"""A user who says nothing gets the auto-prompter that sees the image itself, from training to prediction."""

import csv
import json
import re
import shlex

import pytest
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.learning.settings import PRESETS
from promise_seg.vocabulary import ApmKind, Protocol
from tests.helpers import make_tiny_sam, write_dataset

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS[Protocol.OWN], "apm", ApmKind.PRETRAINED)
    write_dataset(tmp_path / "data")
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    return tmp_path


def train(place, *more):
    manifest, folder = str(place / "data/manifest.csv"), str(place / "run")
    return main(["train", manifest, "-o", folder, "--sam", str(place / "sam"), "--epochs", "1", "--views", "1", *more])


def test_training_evaluation_and_prediction(place, capsys):
    assert train(place) == 0
    said = capsys.readouterr()
    words = " ".join((said.out + said.err).split())
    summary = (place / "run/summary.txt").read_text()
    assert re.search(r"val Dice with given prompts .* a box \d\.\d+ \(\d", summary)
    assert "trust" in summary
    assert "given prompts" not in words
    assert "every train row has an object" in words
    *_, result, places, after = said.err.splitlines()
    assert re.fullmatch(r"best val Dice \d\.\d{4}, at epoch 1", result)
    assert summary.startswith(f"{result}\n")
    assert places.startswith(f"model: {place / 'run/best'}; ")
    assert places.endswith(f": {place / 'run/summary.txt'}")
    assert after.startswith("next: promise evaluate ")
    assert len(said.err.splitlines()) < 25
    assert said.out == ""
    assert main(shlex.split(after)[2:]) == 0
    config = json.loads((place / "run/best/config.json").read_text())
    assert (config["apm"]["kind"], config["apm"]["side"], config["has_given_shift"]) == ("pretrained", 256, True)
    settings = json.loads((place / "run/settings.json").read_text())["settings"]
    assert (settings["apm"], settings["batch_size"], settings["shifts"]) == ("pretrained", 8, 2)
    run, manifest = str(place / "run"), str(place / "data/manifest.csv")
    for prompts in ("apm", "oracle", "box"):
        assert main(["evaluate", run, manifest, "--prompts", prompts, "-o", str(place / "scores")]) == 0
    assert main(["predict", run, str(place / "data/images"), "-o", str(place / "masks")]) == 0
    with (place / "masks/predictions.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 10
    assert Image.open(place / "masks/masks/0.png").size == (40, 30)
    before = (place / "run/best/model.safetensors").read_bytes()
    assert train(place) == 0
    assert (place / "run/best/model.safetensors").read_bytes() == before
    assert "already finished" in "".join(capsys.readouterr())


def test_a_model_that_separates_objects_has_their_score_and_is_to_be_used_with_that_option(place, capsys):
    manifest = place / "data/manifest.csv"
    manifest.write_text(manifest.read_text().replace(",test,", ",train,"))
    assert train(place, "--instances", "--apm-side", "32", "--variant", "apm") == 0
    *_, dice, objects, places, after = capsys.readouterr().err.splitlines()
    assert dice.startswith("best val Dice ")
    scores = json.loads((place / "run/val_objects.json").read_text())
    assert objects.startswith(f"val object F1 {scores['object_f1_50']:.4f} at an IoU of 0.5, on {scores['rows']} rows")
    assert objects.endswith(f"was chosen by the mean F1 over IoU thresholds of 0.5 to 0.95, {scores['object_f1']:.4f}")
    assert objects in (place / "run/summary.txt").read_text()
    assert places.startswith("model: ")
    assert after == f"next: promise predict {place / 'run'} NEW_IMAGES --instances -o OUTPUT"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--apm-side", "250"], "--apm-side 250: efficientnet-lite0 needs a multiple of 32 pixels; the nearest is 256"),
        (["--apm-backbone", "nowhere/nothing"], "--apm-backbone nowhere/nothing: there is no backbone there"),
        (["--apm", "heatmap", "--apm-side", "64"], "--apm heatmap has no option side"),
        (["--points", "4"], "--points has no effect with --apm pretrained, which gives each object a box"),
        (["--variant", "ips", "--apm-frozen"], "the variant ips has no auto-prompting module; leave --apm-frozen out"),
    ],
)
def test_what_a_user_can_get_wrong(place, options, words, capsys):
    assert train(place, *options) == 2
    assert words in " ".join(capsys.readouterr().err.split())
