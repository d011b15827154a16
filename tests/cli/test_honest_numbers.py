"""Intervals, strata, post-processing and the log of looks at test rows, through the commands."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.measures import MEASURES
from promise_seg.cli.main import main
from promise_seg.storage.sealed import opened
from tests.assessment.samples import stored
from tests.helpers import make_tiny_sam, strict_json, write_dataset

pytestmark = pytest.mark.slow  # each command or training takes a second or more

UNSEEN = "their scores do not measure performance on unseen images"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained model with its data; tests must not change them."""
    folder = tmp_path_factory.mktemp("honest")
    make_tiny_sam().model.save_pretrained(folder / "sam")
    manifest = write_dataset(folder / "data", ("train",) * 6 + ("val",) * 4 + ("test",) * 6)
    lines = manifest.read_text().splitlines()
    devices = ["device", *(["a", "b"] * 8)]
    manifest.write_text("\n".join(f"{line},{device}" for line, device in zip(lines, devices, strict=True)))
    out = folder / "run"
    options = ["--sam", str(folder / "sam"), "--epochs", "2", "--views", "1", "-o", str(out)]
    assert main(["train", str(manifest), *options]) == 0
    return out, manifest


def evaluate(run, out, *options):
    model, manifest = run
    return main(["evaluate", str(model), str(manifest), "-o", str(out), *options])


def summary(out, prompts="apm"):
    return strict_json(out / f"summary_{prompts}.json")


def test_every_mean_has_an_interval_and_every_stratum_its_images(run, tmp_path, capsys):
    assert evaluate(run, tmp_path, "--by", "device") == 0
    found = summary(tmp_path)
    names = {one.name for one in MEASURES if not one.only_for_instances}
    assert set(found["mean"]) == set(found["interval"]) == names
    format_of_before = stored("own_points")
    assert set(found) == set(format_of_before) | {"thresholds", "scores_sha256", "content_sha256"}
    for part in ("test_looks", "seen_in_training", "trust", "reading", "strata"):
        assert set(found[part]) == set(format_of_before[part]), part
    low, high = found["interval"]["iou"]
    assert low <= found["mean"]["iou"] <= high
    assert (found["images"], found["groups"]) == (6, 3)
    assert {name: one["images"] for name, one in found["strata"]["device"].items()} == {"a": 3, "b": 3}
    assert sum(one["images"] for one in found["strata"]["size"].values()) == 6
    lines = list(csv.DictReader((tmp_path / "scores_apm.csv").open()))
    assert np.mean([float(line["hd95"]) for line in lines]) == pytest.approx(found["mean"]["hd95"], abs=1e-4)
    printed = " ".join(capsys.readouterr().out.split())
    assert "range of group means, over 3 groups" in printed
    assert "HD95 (px)" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [(["--by", "hospital"], "expected one of size, device"),
     (["--tolerance", "2mm"], "has no known pixel size"),
     (["--tolerance", "two"], "--tolerance two: expected"),
     (["--split", "dev"], "--split dev: expected")],
)  # fmt: skip
def test_what_cannot_be_meant(run, tmp_path, capsys, options, words):
    assert evaluate(run, tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_tuning_is_kept_and_used_by_all_and_a_second_look_is_said(run, tmp_path, capsys):
    trained, manifest = run
    model = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("test_log.jsonl"))
    run = model, manifest
    assert evaluate(run, tmp_path / "before") == 0
    before = summary(tmp_path / "before")
    assert before["postprocessing"] == "none"
    assert before["test_looks"]["note"] is None
    assert main(["tune-postprocess", str(model), str(manifest)]) == 0
    assert "of 320" in capsys.readouterr().err
    config = opened(json.loads((model / "best/config.json").read_text()))
    config["postprocessing"]["threshold"] = 0.95  # so that something changes for certain
    (model / "best/config.json").write_text(json.dumps(config))
    assert evaluate(run, tmp_path / "after") == 0
    after = summary(tmp_path / "after")
    assert "threshold 0.95" in after["postprocessing"]
    assert after["test_looks"]["other_models"] >= 1
    assert "looked at" in capsys.readouterr().err
    images = manifest.parent / "images"
    assert main(["predict", str(model), str(images), "-o", str(tmp_path / "p")]) == 0
    from promise_seg import load

    for number in (10, 11):
        prediction = load(model).predict(images / f"{number}.png")
        assert np.array_equal(prediction.mask, load(model).model.config.postprocessing.mask(prediction.mask_probs))
        written = np.asarray(Image.open(tmp_path / f"p/masks/{number}.png")) > 0
        assert np.array_equal(written, prediction.mask)
    assert main(["tune-postprocess", str(model), str(manifest), "--reset"]) == 0
    assert evaluate(run, tmp_path / "again") == 0
    assert summary(tmp_path / "again")["mean"] == before["mean"]


@pytest.mark.slow
def test_a_budget_on_test_rows_is_a_look_too(run, tmp_path):
    model, manifest = run
    before = (model / "test_log.jsonl").read_text().count("\n") if (model / "test_log.jsonl").exists() else 0
    for split in ("val", "test"):
        assert main(["budget", str(model), str(manifest), "--split", split, "-o", str(tmp_path / split)]) == 0
    assert (model / "test_log.jsonl").read_text().count("\n") == before + 1
    assert "test_looks" in json.loads((tmp_path / "test/budget.json").read_text())
    assert "test_looks" not in json.loads((tmp_path / "val/budget.json").read_text())


def test_test_rows_in_another_order_are_no_new_ones(run, tmp_path):
    assert evaluate(run, tmp_path / "a") == 0
    before = summary(tmp_path / "a")["test_looks"]
    model, manifest = run
    head, *lines = manifest.read_text().splitlines()
    turned = manifest.with_name("turned.csv")
    turned.write_text("\n".join([head, *reversed(lines)]))
    assert evaluate((model, turned), tmp_path / "b") == 0
    after = summary(tmp_path / "b")["test_looks"]
    assert after["this_model"] == before["this_model"] + 1


@pytest.mark.parametrize(
    ("splits", "seen"),
    [
        ({"train": "test", "test": "train"}, (6, 0)),
        pytest.param({"val": "test", "test": "val"}, (0, 4), marks=pytest.mark.slow),
        pytest.param({}, (0, 0), marks=pytest.mark.slow),
    ],
)
def test_images_of_training_that_pass_for_test_images_are_said(run, tmp_path, capsys, splits, seen):
    """Under other names and splits, as in another CSV of the same hospital."""
    model, manifest = run
    head, *lines = manifest.read_text().splitlines()
    rows = [line.split(",") for line in lines]
    other = manifest.with_name("other.csv")
    renamed = [",".join([row[0], splits.get(row[1], row[1]), *row[2:]]) for row in rows]
    other.write_text("\n".join([head, *renamed]))
    words = f"{sum(seen)} of these" if sum(seen) else None
    for command in ("evaluate", "budget", "report"):
        out = tmp_path / command
        extra = {"budget": ["--split", "test"], "report": ["--no-budget", "--no-images"]}.get(command, [])
        assert main([command, str(model), str(other), "-o", str(out), *extra]) == 0
        name = {"evaluate": "summary_apm.json", "budget": "budget.json", "report": "report.json"}[command]
        found = strict_json(out / name)
        found = found["evaluations"][0] if command == "report" else found
        known = found["seen_in_training"]
        assert (known["trained_on"], known["chosen_on"]) == seen
        error = " ".join(capsys.readouterr().err.split())
        assert (words is None) == (UNSEEN not in error)
        if words is not None:
            assert words in error
    assert (UNSEEN in (tmp_path / "report/report.html").read_text()) == bool(words)


@pytest.mark.parametrize("command", ["evaluate", "budget"])
def test_a_folder_that_cannot_be_written_is_found_out_before_any_look(run, tmp_path, capsys, command):
    model, manifest = run
    log = model / "test_log.jsonl"
    before = log.read_text() if log.exists() else ""
    (tmp_path / "file").write_text("")
    assert main([command, str(model), str(manifest), "--split", "test", "-o", str(tmp_path / "file/x")]) == 2
    error = capsys.readouterr().err
    assert "evaluating" not in error
    assert "prompting" not in error
    assert (log.read_text() if log.exists() else "") == before


def test_another_choice_among_sams_masks_is_a_second_look(run, tmp_path, capsys):
    for mask in ("0", "1"):
        assert evaluate(run, tmp_path / mask, "--mask", mask) == 0
    assert "the choice among SAM's masks, --slices or --always-segment differed" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.slow
def test_a_budget_reads_files_as_it_is_told(run, tmp_path, capsys):
    model, manifest = run
    places = [str(model), str(manifest), "-o", str(tmp_path / "b"), "--instances"]
    assert main(["budget", *places, "--class", "1,2"]) == 2
    assert "--class 1,2: name one class" in capsys.readouterr().err
    assert main(["budget", *places]) == 0


def test_validation_rows_are_no_sealed_ones(run, tmp_path):
    assert evaluate(run, tmp_path, "--split", "val") == 0
    assert "test_looks" not in summary(tmp_path)
    assert summary(tmp_path)["seen_in_training"] == {"trained_on": 0, "chosen_on": 0, "note": None}


def test_two_evaluations_can_be_compared(run, tmp_path, capsys):
    assert evaluate(run, tmp_path / "a") == 0
    assert evaluate(run, tmp_path / "b", "--prompts", "oracle") == 0
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--measure", "dice", "--measure", "hd95"]) == 0
    assert "hd95" in capsys.readouterr().out


def test_a_column_that_is_not_there_is_found_out_before_any_work(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("promise_seg.checkpoint.load_checkpoint", lambda *_: pytest.fail("work was begun"))
    assert evaluate(run, tmp_path, "--by", "device", "--by", "hospital") == 2
    assert "--by hospital" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "report", "budget"])
def test_masks_that_are_not_there_are_all_named(run, tmp_path, capsys, command):
    model, manifest = run
    lines = manifest.read_text().splitlines()
    broken = manifest.with_name("broken.csv")
    broken.write_text("\n".join([*lines[:-2], *(line.replace("masks/", "gone/") for line in lines[-2:])]))
    args = [command, str(model), str(broken), "-o", str(tmp_path / "out"), "--split", "test"]
    assert main(args) == 2
    said = capsys.readouterr().err
    for number in (14, 15):
        assert f"gone/{number}.png: no such file" in said
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
