"""What a user sees of the command line itself: help, choices, completion, and what is answered to a typo."""

import inspect
import os
import re
import subprocess
import sys
from enum import StrEnum
from typing import get_args, get_type_hints

import pytest

from promise_seg import __version__
from promise_seg.cli import benchmark, budget, calibrate, compare, convert, evaluate, predict, report, train, tune
from promise_seg.cli.main import app, main

COMMANDS = ["train", "evaluate", "predict", "convert", "pretrain", "demo", "benchmark", "budget", "calibrate",
            "compare", "report", "tune-postprocess", "data check", "data show", "data split", "data make",
            "data draw", "data import",
            "data fetch", "sam fetch"]  # fmt: skip


@pytest.fixture
def help_of(capsys, monkeypatch):
    def run(command, columns=80):
        from typer import rich_utils

        monkeypatch.setattr(rich_utils, "MAX_WIDTH", columns)
        assert main([*command.split(), "--help"]) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_help_at_80_columns_cuts_nothing(help_of, command):
    text = help_of(command)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    beside = re.findall(r"<[^>\n]*$|<[^>]*\n", text)
    assert not [one for one in beside if "|" in one], "choices are broken over lines"


@pytest.mark.parametrize(
    ("command", "function"),
    [("train", train.train), ("evaluate", evaluate.evaluate), ("predict", predict.predict),
     ("convert", convert.convert), ("compare", compare.compare), ("report", report.report), ("budget", budget.budget)],
)  # fmt: skip
def test_help_lists_every_choice(help_of, command, function):
    words = set(re.split(r"[^a-z0-9+-]+", help_of(command)))
    hints = get_type_hints(function)
    found = 0
    for hint in hints.values():
        for kind in (hint, *get_args(hint), *(a for b in get_args(hint) for a in get_args(b))):
            if inspect.isclass(kind) and issubclass(kind, StrEnum):
                found += 1
                assert set(kind) <= words, kind
    assert found


@pytest.mark.parametrize("panel", ["Data", "Model", "Training", "Output", "Computing"])
def test_options_of_training_come_in_groups(help_of, panel):
    assert f"─ {panel} ─" in help_of("train")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--variant", "amp"], "--variant amp: expected apm, ips or apm+ips; did you mean apm?"),
        (["--variant", "sam"], "--variant sam: expected apm, ips or apm+ips"),
        (
            ["--apm", "heat-map"],
            "--apm heat-map: expected pretrained, heatmap, peaks, resnet or cross; did you mean heatmap?",
        ),
        (["--train-also", "encoder"], "did you mean decoder?"),
        (["--axis", "zzz"], "--axis zzz: expected auto, axial, coronal or sagittal\n"),
        (["--precision", "fp8"], "expected no, bf16 or fp16; did you mean fp16?"),
        (["--epoch", "3"], "No such option: --epoch"),
        (["--epochs", "three"], "--epochs three: expected a whole number\n"),
        (["--epochs", "0"], "--epochs 0: expected at least 1\n"),
        (["--val-share", "0.95"], "--val-share 0.95: expected at most 0.9\n"),
    ],
)
def test_a_typo_is_one_line_and_names_the_nearest_choice(tmp_path, capsys, options, words):
    assert main(["train", "x.csv", "-o", str(tmp_path / "run"), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("promise: error: ")
    assert error.count("\n") == 1
    assert words in error


def test_an_unknown_command_and_a_missing_argument(capsys):
    assert main(["trian"]) == 2
    assert capsys.readouterr().err.endswith("Did you mean 'train', 'pretrain'? See promise --help\n")
    assert main(["evaluate"]) == 2
    error = capsys.readouterr().err
    assert "Missing argument" in error
    assert error.endswith("see promise evaluate --help\n")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["train", "x.csv", "-o", ""], "the word after -o"),
        (["predict", "run", "x.png", "-o", "out", "--instances", ""], "the word after --instances"),
        (["train", "x.csv", "-o", "run", "--store="], "--store"),
        (["predict", "run", "", "-o", "out"], "the word after run"),
        (["data", "make", "", "-o", "x.csv"], "the word after make"),
        ([""], "the word after promise"),
    ],
)
def test_an_empty_word_is_not_the_current_folder(words, where, tmp_path, monkeypatch, capsys):
    """``-o "$OUT"`` with a variable that is not set."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(f"promise: error: {where}: is empty; expected a value. A variable of")
    assert not list(tmp_path.iterdir())


def test_the_package_is_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "promise_seg", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"promise-seg {__version__}\n"


def test_promise_alone_prints_its_help(capsys):
    assert main([]) == 2
    assert "Commands" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("promise train --variant ap", {"apm", "apm+ips"}),
        ("promise evaluate --prompts ", {"apm", "oracle", "box", "none"}),
        ("promise predict --format dic", {"dicom-seg"}),
        ("promise train --sam na", {"nano"}),
        ("promise train --device c", {"cpu", "cuda"}),
        ("promise tune", {"tune-postprocess"}),
    ],
)
def test_shells_complete_choices(line, expected):
    code = "from promise_seg.cli.console import run; run()"
    words = line.split(" ")
    asked = {"_PROMISE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == expected, done.stderr


def test_completion_can_be_installed(capsys):
    assert main(["--help"]) == 0
    assert "--install-completion" in capsys.readouterr().out
    assert app.registered_commands


def test_commands_that_share_an_option_share_its_words():
    for name in ("sam", "device", "store"):
        kinds = {
            str(inspect.signature(command).parameters[name].annotation)
            for command in (budget.budget, calibrate.calibrate, evaluate.evaluate, report.report, tune.tune)
        }
        assert len(kinds) == 1
    assert inspect.signature(benchmark.benchmark).parameters["store"].default is None


@pytest.mark.parametrize(
    ("line", "most"),
    [("train my.csv -o run --points", 1024), ("evaluate run my.csv -o scores --points", 1024),
     ("train my.csv -o run --image-size", 4096), ("evaluate bare my.csv -o scores --image-size", 4096),
     ("train my.csv -o run --apm-side", 4096)],
)  # fmt: skip
def test_numbers_that_would_exhaust_the_memory_are_refused_in_one_line(line, most, help_of, capsys):
    option = line.split()[-1]
    assert main([*line.split(), str(10**9)]) == 2
    assert capsys.readouterr().err == f"promise: error: {option} 1000000000: expected at most {most}\n"
    assert f"<={most}]" in help_of(line.split()[0])
