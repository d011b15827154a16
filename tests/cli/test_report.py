"""``promise report`` as a user calls it."""

import json
import os
import re
import shlex
import shutil

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.storage.sealed import opened
from tests.helpers import make_tiny_sam, strict_json, write_dataset

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained model with its data; tests must not change them."""
    folder = tmp_path_factory.mktemp("report")
    make_tiny_sam().model.save_pretrained(folder / "sam")
    manifest = write_dataset(folder / "data", ("train",) * 6 + ("val",) * 4 + ("test",) * 4)
    options = ["--sam", str(folder / "sam"), "--epochs", "2", "--views", "1", "-o", str(folder / "run")]
    assert main(["train", str(manifest), *options]) == 0
    return folder


def report(run, out, *options, model=None):
    args = ["report", model or str(run / "run"), str(run / "data/manifest.csv"), "-o", str(out), "--device", "cpu"]
    return main([*args, *options])


def document(out):
    return strict_json(out / "report.json")


def schema(capsys):
    assert main(["report", "--schema"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_page_and_the_same_as_data(run, tmp_path, capsys):
    assert report(run, tmp_path, "--worst", "3") == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["report.html", "report.json"]
    found = document(tmp_path)
    assert [one["prompts"] for one in found["evaluations"]] == ["apm", "oracle"]
    assert len(found["worst"]) == 3
    assert found["worst"][0]["dice"] <= found["worst"][1]["dice"]
    assert found["budget"]
    assert len(found["curves"]) == 2
    page = (tmp_path / "report.html").read_text()
    assert page.count("<img ") == 3
    assert f"{found['evaluations'][0]['mean']['dice']:.3f}" in page
    assert "with own prompts (automatic)" in capsys.readouterr().err
    Draft202012Validator(schema(capsys)).validate(found)


def test_the_same_numbers_as_evaluate(run, tmp_path):
    assert report(run, tmp_path, "--no-budget", "--no-images", "--prompts", "oracle") == 0
    args = ["evaluate", str(run / "run"), str(run / "data/manifest.csv"), "--prompts", "oracle"]
    assert main([*args, "-o", str(tmp_path / "e")]) == 0
    summary = json.loads((tmp_path / "e/summary_oracle.json").read_text())
    found = document(tmp_path)["evaluations"][0]
    assert {name: found[name] for name in ("mean", "interval", "strata")} == {
        name: summary[name] for name in ("mean", "interval", "strata")
    }
    assert {name for name in summary if name not in found} == {"content_sha256"}


@pytest.mark.slow
def test_the_commands_of_the_card_repeat_the_run(run, tmp_path):
    assert report(run, tmp_path, "--no-budget", "--no-images") == 0
    card = document(tmp_path)["card"]
    first = card["commands"][0]
    assert first == (
        f"promise train {run}/data/manifest.csv -o {run}/run --sam {run}/sam --epochs 2 --views 1"
        f"  # train and val rows: sha256 {card['hashes']['training_data']}"
    )
    repeat(first, run / "run", tmp_path / "again")


def repeat(command, run, out):
    """The same weights come out of a command of a run card."""
    assert main([*shlex.split(command, comments=True)[1:], "-o", str(out)]) == 0
    weights = ("best/model.safetensors", "best/config.json")
    assert all((out / w).read_bytes() == (run / w).read_bytes() for w in weights)


@pytest.mark.slow
def test_the_commands_of_the_card_repeat_the_run_whatever_is_reported_on(run, tmp_path):
    others = write_dataset(tmp_path / "others", ("val",) * 3)
    args = ["report", str(run / "run"), str(others), "-o", str(tmp_path), "--no-budget", "--no-images"]
    assert main([*args, "--prompts", "none", "--split", "val"]) == 0
    first, evaluation, _ = document(tmp_path)["card"]["commands"]
    assert f" {run}/data/manifest.csv " in first
    assert f" {others} " in evaluation
    repeat(first, run / "run", tmp_path / "again")


@pytest.mark.slow
def test_the_commands_of_the_card_repeat_a_run_without_val_rows(run, tmp_path):
    manifest = write_dataset(tmp_path / "data", ("train",) * 8 + ("test",) * 2)
    options = ["--sam", str(run / "sam"), "--epochs", "1", "--views", "1", "--val-share", "0.4", "--seed", "3"]
    assert main(["train", str(manifest), *options, "-o", str(tmp_path / "run")]) == 0
    args = ["report", str(tmp_path / "run"), str(manifest), "-o", str(tmp_path), "--no-budget", "--no-images"]
    assert main([*args, "--prompts", "none"]) == 0
    first = document(tmp_path)["card"]["commands"][0]
    assert "--seed 3 --val-share 0.4  # " in first
    repeat(first, tmp_path / "run", tmp_path / "again")


@pytest.mark.slow
def test_without_pictures_and_budget(run, tmp_path):
    assert report(run, tmp_path, "--no-images", "--no-budget") == 0
    page = (tmp_path / "report.html").read_text()
    assert "<img" not in page
    assert "images/1" in page  # the worst cases are named all the same
    assert document(tmp_path)["budget"] == []


def test_a_bare_sam(run, tmp_path):
    assert report(run, tmp_path, "--sam", str(run / "sam"), "--no-budget", "--split", "val", model="bare") == 0
    found = document(tmp_path)
    assert [one["prompts"] for one in found["evaluations"]] == ["oracle"]
    assert found["card"]["training"] is None
    assert found["curves"] == []
    assert "from the ground truth" in (tmp_path / "report.html").read_text()


def test_a_bare_sam_reads_files_as_it_is_told(run, tmp_path):
    manifest = write_dataset(tmp_path / "data", ("test",) * 3)
    for path in (tmp_path / "data/masks").iterdir():
        labels = (np.asarray(Image.open(path)) > 0).astype(np.uint8) * 2
        labels[:4, :4] = 1
        Image.fromarray(labels).save(path)
    reading = ["--class", "2", "--window", "percentile", "--no-crop-border", "--image-size", "48"]
    shared = ["--sam", str(run / "sam"), "--prompts", "oracle", *reading]
    args = ["report", "bare", str(manifest), "-o", str(tmp_path), "--no-budget", "--no-images", *shared]
    assert main(args) == 0
    found = document(tmp_path)
    line = found["card"]["commands"][0]
    assert main([*shlex.split(line)[1:], "-o", str(tmp_path / "e")]) == 0
    assert strict_json(tmp_path / "e/summary_oracle.json")["mean"] == found["evaluations"][0]["mean"]
    assert found["card"]["image_size"] == 48
    assert found["evaluations"][0]["reading"]["label"] == 2
    assert main([word if word != "2" else "all" for word in args]) == 2


def test_a_trained_model_has_its_input_size(run, tmp_path, capsys):
    assert "it is for bare only" in failure(report(run, tmp_path / "out", "--image-size", "48"), capsys)


@pytest.mark.slow
def test_losses_that_are_no_numbers_are_left_out_of_the_document(run, tmp_path):
    shutil.copytree(run / "run", tmp_path / "run")
    log = tmp_path / "run/log.jsonl"
    first, second = (opened(json.loads(line)) for line in log.read_text().splitlines())
    log.write_text("\n".join(json.dumps(line) for line in (first, second | {"mask": float("nan")})))
    assert report(run, tmp_path / "out", "--no-budget", model=str(tmp_path / "run")) == 0
    assert [line["mask"] for line in document(tmp_path / "out")["curves"]] == [first["mask"], None]


def test_a_column_that_is_not_there_is_found_out_before_any_work(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("promise_seg.checkpoint.load_checkpoint", lambda *_: pytest.fail("work was begun"))
    assert "--by hospital" in failure(report(run, tmp_path, "--by", "hospital"), capsys)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["val", "test"])
def test_trust_on_the_rows_of_its_calibration_is_said_to_be_flattering(run, tmp_path, split):
    assert report(run, tmp_path, "--no-budget", "--no-images", "--prompts", "apm", "--split", split) == 0
    assert document(tmp_path)["evaluations"][0]["trust_calibrated_on_these_rows"] is (split == "val")
    assert ("so its quality is overestimated here" in (tmp_path / "report.html").read_text()) is (split == "val")


@pytest.mark.slow
def test_what_stands_in_settings_and_is_not_understood_is_one_line(run, tmp_path, capsys):
    shutil.copytree(run / "run", tmp_path / "run")
    path = tmp_path / "run/settings.json"
    noted = opened(json.loads(path.read_text()))
    path.write_text(json.dumps(noted | {"settings": noted["settings"] | {"colour": "red"}}))
    error = failure(report(run, tmp_path / "out", "--no-budget", model=str(tmp_path / "run")), capsys)
    assert f"{path}: not as promise train writes it: settings.colour" in error
    assert "move it away to continue without it" in error
    path.unlink()
    assert report(run, tmp_path / "out", "--no-budget", "--no-images", model=str(tmp_path / "run")) == 0


@pytest.mark.slow
def test_one_look_at_test_rows_is_noted_and_one_at_val_rows_is_not(run, tmp_path):
    log = run / "run/test_log.jsonl"
    before = log.read_text().count("\n") if log.exists() else 0
    assert report(run, tmp_path / "test", "--no-images") == 0
    assert log.read_text().count("\n") == before + 1
    assert document(tmp_path / "test")["evaluations"][1]["test_looks"]["this_model"] == before + 1
    assert report(run, tmp_path / "val", "--no-images", "--no-budget", "--split", "val") == 0
    assert log.read_text().count("\n") == before + 1
    assert document(tmp_path / "val")["evaluations"][0]["test_looks"] is None


@pytest.mark.slow
def test_hostile_names_of_images_stay_names(run, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(run / "data", data)
    name = "images/<img src=x onerror=alert(1)>&quot;'.png"
    (data / "images/13.png").rename(data / name)
    manifest = data / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("images/13.png", name))
    args = ["report", str(run / "run"), str(manifest), "-o", str(tmp_path / "out"), "--no-budget"]
    assert main(args) == 0
    page = (tmp_path / "out/report.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;quot;" in page
    assert name in [one["image"] for one in document(tmp_path / "out")["worst"]]


@pytest.mark.slow
def test_nothing_tells_whose_machine_it_is(run, tmp_path, monkeypatch):
    monkeypatch.chdir(run)
    assert main(["report", "run", "data/manifest.csv", "-o", "out", "--no-budget", "--sam", "sam"]) == 0
    found = document(run / "out")
    host = os.uname().nodename
    assert host not in json.dumps(found)
    of_training = {"sam": "", "commands": []}  # there the user gave whole paths
    assert str(run) not in json.dumps(found | {"card": found["card"] | of_training} | {"evaluations": []})
    assert all(str(run) not in json.dumps(one | of_training) for one in found["evaluations"])
    shutil.rmtree(run / "out")


def failure(code, capsys):
    captured = capsys.readouterr()
    assert code == 2
    assert "Traceback" not in captured.err + captured.out
    return captured.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [(["--split", "trial"], "--split trial: expected"), (["--prompts", "luck"], "--prompts luck: expected"),
     (["--tolerance", "two"], "--tolerance two"), (["--by", "hospital"], "--by hospital: the manifest has no such"),
     (["--worst", "-1"], "--worst")],
)  # fmt: skip
def test_what_cannot_be_meant(run, tmp_path, capsys, options, words):
    out = tmp_path / "out"
    assert words in re.sub(r"\s+", " ", failure(report(run, out, "--no-budget", *options), capsys))
    assert not out.exists() or list(out.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_found_out_before_any_work(run, tmp_path, capsys, monkeypatch):
    from promise_seg.reporting import collecting

    monkeypatch.setattr(collecting, "score_and_judge", lambda *_a, **_k: pytest.fail("work was begun"))
    (tmp_path / "file").write_text("in the way")
    assert f"{tmp_path / 'file'}: is a file; expected a folder" in failure(report(run, tmp_path / "file"), capsys)
    assert "cannot write" in failure(report(run, tmp_path / "file" / "below"), capsys)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".store"] == ["file"]
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_missing_model_of_several_classes_is_named(run, tmp_path, capsys):
    several = tmp_path / "several"
    several.mkdir()
    (several / "classes.json").write_text('{"classes": [1, 5]}')
    message = failure(report(run, tmp_path / "out", model=str(several)), capsys)
    assert f"{several / 'class-1'}: contains no checkpoint" in message
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_nothing(run, tmp_path, monkeypatch):
    from promise_seg.reporting import collecting

    def stopped(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(collecting, "prompt_budget", stopped)
    assert report(run, tmp_path / "out") == 130
    assert list((tmp_path / "out").iterdir()) == []
