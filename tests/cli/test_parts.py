"""``promise predict --part`` and ``--merge``, and ``promise features encode``."""

import json
from collections import Counter
from pathlib import Path

import pytest

from promise_seg.cli.main import main
from tests.helpers import make_tiny_sam
from tests.prediction.part_helpers import content, failures


@pytest.fixture(scope="module")
def sam_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam")
    make_tiny_sam().model.save_pretrained(folder)
    return str(folder)


def words_of(capsys):
    printed = capsys.readouterr()
    return " ".join((printed.out + printed.err).split())


@pytest.mark.slow
def test_encode_in_parts_train_and_predict_in_parts(manifest, sam_folder, tmp_path, capsys, monkeypatch):
    store, run, out = (str(tmp_path / name) for name in ("store", "run", "out"))
    settings = [
        "--sam",
        sam_folder,
        "--store",
        store,
        "--views",
        "2",
        "--variant",
        "apm",
        "--apm",
        "heatmap",
        "--device",
        "cpu",
    ]
    log = tmp_path / "log.jsonl"
    monkeypatch.setenv("PROMISE_SEG_LOG_FILE", str(log))
    for part in ("1/2", "2/2"):
        assert main(["features", "encode", str(manifest), *settings, "--part", part]) == 0
        assert f"part {part[0]} of 2: " in words_of(capsys)
    assert main(["features", "encode", str(manifest), *settings]) == 0
    assert "0 views encoded, 14 already there" in words_of(capsys)
    assert main(["train", str(manifest), *settings, "--epochs", "1", "-o", run]) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["work"] for line in lines if line["event"] == "begin"] == [*["features encode"] * 3, "train"]
    assert Counter((line["work"], line["event"]) for line in lines if "item" in line) == {
        ("encode", "done"): 14, ("encode", "already-there"): 14 + 14  # the last of them by the training
    }  # fmt: skip
    assert [line["epoch"] for line in lines if line["event"] == "epoch"] == [1]
    monkeypatch.delenv("PROMISE_SEG_LOG_FILE")
    assert "to be encoded" not in words_of(capsys)

    images = manifest.parent / "images"
    for name, value in {"ID": 5, "COUNT": 2, "MIN": 3, "MAX": 5, "STEP": 2}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    (images / "9.png").write_bytes(b"nothing")
    assert main(["predict", run, str(images), "-o", out, "--sam", sam_folder, "--part", "slurm"]) == 2
    assert "part 2 of 2 (task 5 of the job array 3-5:2): 5 of 10 images, 5 of them to be predicted" in words_of(capsys)
    assert main(["predict", "--status", "-o", out]) == 0
    printed = words_of(capsys)
    assert "4 of 10 images done, 1 failed, 5 missing" in printed
    assert "left at this rate" in printed
    assert "2/2" in printed
    assert main(["predict", "--merge", "-o", out]) == 2
    printed = words_of(capsys)
    assert "4 images in" in printed
    assert "5 images are missing and 1 failed;" in printed
    assert [line["kind"] for line in failures(tmp_path / "out")].count("missing") == 5

    assert main(["predict", run, str(images), "-o", out, "--sam", sam_folder]) == 2
    assert "was predicted in parts. Give --part 1/1 or --ray to predict what is missing" in words_of(capsys)
    (images / "9.png").write_bytes((images / "8.png").read_bytes())
    assert main(["predict", run, str(images), "-o", out, "--sam", sam_folder, "--part", "1/1"]) == 0
    assert main(["predict", "--merge", "--parquet", "-o", out]) == 0
    assert main(["predict", run, str(images), "-o", str(tmp_path / "whole"), "--sam", sam_folder, "--parquet"]) == 0
    assert (tmp_path / "out" / "predictions.parquet").exists()
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["predict", "m", "i", "-o", "o", "--part", "5/4"], "--part 5/4: expected K from 1 to N"),
     (["predict", "m", "i", "-o", "o", "--part", "slurm"], "expected a task of a job array"),
     (["predict", "m", "-o", "o"], "Missing argument 'IMAGES...'; see promise predict --help"),
     (["predict", "-o", "o"], "Missing argument 'MODEL'"),
     (["predict", "--merge", "-o", "nowhere"], "nowhere: holds no parts of predictions"),
     (["predict", "--merge", "--part", "1/2", "-o", "o"], "cannot be combined with --merge"),
     (["predict", "m", "i", "-o", "o", "--part", "1/2", "--parquet"], "--parquet: a part has no table"),
     (["predict", "--merge", "--format", "coco", "-o", "o"], "--format: is for predicting, which --merge does not do"),
     (["predict", "--status", "--instances", "-o", "o"], "--instances: is for predicting, which --status does not"),
     (["predict", "--status", "--parquet", "-o", "o"], "--parquet: cannot be combined with --status, which writes"),
     (["predict", "--status", "-o", "nowhere"], "nowhere: holds no parts of predictions"),
     (["predict", "--status", "--part", "1/2", "-o", "o"], "cannot be combined with --status, which covers"),
     (["predict", "--status", "--merge", "-o", "o"], "--status: cannot be combined with --merge"),
     (["predict", "m", "i", "-o", "o", "--log-file", "no/log"], "--log-file no/log: cannot be written: No such file"),
     (["train", "m.csv", "-o", "o", "--metrics-host", "::1"], "--metrics-host ::1: needs --metrics PORT")],
)  # fmt: skip
def test_mistakes(arguments, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    there = [Path(name) for name in ("m", "i") if arguments[0] == "predict" and name in arguments]
    for folder in there:
        folder.mkdir()
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    assert main(arguments) == 2
    assert words in words_of(capsys)
    assert sorted(tmp_path.iterdir()) == sorted(folder.absolute() for folder in there)


@pytest.mark.parametrize("way", ["--status", "--merge"])
def test_what_the_environment_says_of_work_does_not_hold_for_a_look_at_it(way, tmp_path, monkeypatch):
    log = tmp_path / "log.jsonl"
    monkeypatch.setenv("PROMISE_SEG_LOG_FILE", str(log))
    monkeypatch.setenv("PROMISE_SEG_METRICS", "1")  # where nobody may listen, or somebody does already
    assert main(["predict", way, "-o", str(tmp_path)]) == 2
    assert not log.exists()
    monkeypatch.delenv("PROMISE_SEG_METRICS")
    assert main(["predict", way, "-o", str(tmp_path), "--log-file", str(log)]) == 2
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["begin", "end"]


def test_an_empty_log_file_is_refused(tmp_path, capsys):
    assert main(["predict", "run", str(tmp_path), "-o", str(tmp_path), "--log-file", ""]) == 2
    assert "--log-file: is empty; expected a value" in words_of(capsys)
