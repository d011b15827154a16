"""A mistyped path is reported before PyTorch is loaded, in the words of the command that would use it."""

import subprocess
import sys

import pytest

from promise_seg.cli.early_checks import check_exists, check_model_exists
from promise_seg.cli.main import main

CODE = """
import sys
from promise_seg.cli.main import main
code = main(sys.argv[1:])
loaded = {'torch', 'transformers', 'pandas', 'matplotlib'} & set(sys.modules)
sys.exit(f'loaded {loaded}' if loaded else code)
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "no.csv", "-o", "x"], "no.csv: no such file. Expected a CSV"),
        (["train", "wrong.csv", "-o", "x"], "wrong.csv:1: missing column(s) image_name"),
        (["evaluate", "run", "no.csv", "-o", "x"], "no.csv: no such file. Expected a CSV"),
        (["evaluate", "norun", "good.csv", "-o", "x"], "norun: contains no checkpoint; expected a folder with"),
        (["report", "run", "no.csv", "-o", "x"], "no.csv: no such file. Expected a CSV"),
        (["predict", "run", "noimages", "-o", "x"], "noimages: no such file or folder"),
        (["predict", "norun", "run", "-o", "x"], "norun: contains no checkpoint; expected a folder with"),
        (["calibrate", "norun", "good.csv"], "norun: contains no checkpoint; expected a folder with"),
        (["tune-postprocess", "run", "wrong.csv"], "wrong.csv:1: missing column(s) image_name"),
    ],
)
def test_a_mistyped_path_does_not_load_torch(tmp_path, words, message):
    (tmp_path / "run").mkdir()
    (tmp_path / "wrong.csv").write_text("image,train_type,mask\na,b,c\n")
    (tmp_path / "good.csv").write_text("image_name,train_type,mask_name\na.png,test,b.png\n")
    command = [sys.executable, "-c", CODE, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"promise: error: {message}")


def test_the_words_are_those_of_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "good.csv").write_text("image_name,train_type,mask_name\na.png,test,b.png\n")
    said = []
    for name in ("norun", "empty"):  # reported early, and by the command
        assert main(["evaluate", name, "good.csv", "-o", "x"]) == 2
        said.append(capsys.readouterr().err.replace(name, "NAME"))
    assert said[0] == said[1]


def test_what_cannot_be_decided_is_left_to_the_command():
    for place in ("s3://bucket/images", "dicomweb://host/path?Modality=CT"):
        check_exists(place)
    for name in ("bare", "run/best", "published.pt"):
        check_model_exists(name)
