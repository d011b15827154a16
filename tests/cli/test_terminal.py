"""The output of commands on terminals, files and pipes of any encoding, and closed ones."""

import io
import os
import re
import subprocess
import sys

import pytest
from PIL import Image
from rich.console import Console

from promise_seg.cli import common, plain_progress
from promise_seg.cli import main as cli
from promise_seg.cli.bar_columns import RateColumn

RUN = [sys.executable, "-c", "from promise_seg.cli.console import run; run()"]


@pytest.fixture
def data(tmp_path):
    for folder, value in (("images", 90), ("masks", 255)):
        (tmp_path / "图像" / folder).mkdir(parents=True)
        Image.new("L", (8, 6), value).save(tmp_path / "图像" / folder / "a.png")
    return tmp_path


def run(data, encoding, *arguments):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    return subprocess.run([*RUN, *arguments], cwd=data, env=environment, capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_letters_that_cannot_be_shown_are_written_as_codes(data, encoding):
    done = run(data, encoding, "data", "make", "图像", "-o", "图像.csv")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert rb"written: \u56fe\u50cf.csv" in done.stdout
    done = run(data, encoding, "data", "check", "图像.csv")
    assert b"Traceback" not in done.stderr
    assert rb"\u56fe\u50cf.csv" in done.stdout
    assert b"1 error(s)" not in done.stdout


def test_names_with_the_marks_of_the_terminal_library_are_printed_as_they_are(tmp_path, capsys):
    """Rich reads ``[/b]`` as the end of bold text, which never began, and ``:x:`` as a cross."""
    name = "[/b] [red] :x:"
    common.print_table([name], [[name]], name)
    common.print_line(name)
    with common.stages_bar() as progress:
        progress(name, 1, 1, f"note {name}")
    shown = capsys.readouterr()
    assert shown.out.count(name) == 3
    assert shown.err.count(name) >= 3


@pytest.mark.slow
def test_an_error_of_such_a_name_is_one_line(data):
    done = run(data, "cp1252", "data", "check", "没有.csv")
    assert done.returncode == 2
    assert done.stderr.strip().startswith(rb"promise: error: \u6ca1\u6709.csv: no such file.")
    assert done.stderr.strip().count(b"\n") == 0


@pytest.mark.parametrize("arguments", [["sam", "list"], ["data", "make", "图像", "-o", "m.csv"]])
def test_a_reader_that_goes_away_ends_no_command_in_a_traceback(data, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*RUN, *arguments], cwd=data, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.returncode in (1, 141)  # rich ends with 1
    assert b"Traceback" not in done.stderr
    assert b"Error" not in done.stderr


@pytest.mark.parametrize(
    "error", [OSError(36, "File name too long", "x" * 30), PermissionError(13, "Permission denied", "f")]
)
def test_what_the_system_refuses_is_one_line(capsys, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(cli, "prepare", lambda: None)
    wrapped = cli._honest(refuse)
    with pytest.raises(cli.typer.Exit) as caught:
        wrapped()
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == f"promise: error: {error.filename}: {error.strerror}\n"


def test_stages_whose_steps_take_minutes_have_a_rate_and_a_time_left(monkeypatch):
    now = [0.0]
    with common.progress_bars() as bars:
        bars.get_time = lambda: now[0]
        task = bars.add_task("encoding", total=10, note="")
        for done in range(1, 5):
            now[0] += 120
            bars.update(task, completed=done)
        (found,) = bars.tasks
        assert RateColumn().render(found).plain == "0.5/min"
        assert found.time_remaining == 6 * 120


@pytest.fixture
def shown(monkeypatch):
    """Return a function that shows stages on a terminal of some width, and returns the last lines there."""

    def show(width, *reports):
        file = io.StringIO()
        monkeypatch.setattr(common, "console", Console(file=file, width=width, force_terminal=True, color_system=None))
        with common.progress_bars() as bars:
            bars.get_time = iter(range(0, 10_000, 2)).__next__
            progress = common.bar_of_stages(bars)
            for one in reports:
                progress(*one)
            file.seek(0)
            file.truncate()
            bars.refresh()
            lines = [re.sub(r"\x1b\[[\d?;]*[A-Za-z]", "", line).strip() for line in file.getvalue().splitlines()]
        return [line for line in lines if line]

    return show


@pytest.mark.parametrize("width", [72, 80, 200])
def test_counts_rate_and_time_left_are_shown_in_full_at_any_usual_width(shown, width):
    note = "epoch 12/60, best val Dice 0.812"
    stages = ("training", "choosing how objects are separated")
    lines = shown(width, *((stage, done, 632, note) for stage in stages for done in (300, 310, 320)))
    assert len(lines) == 2
    for line in lines:
        assert " 320/632 " in line
        assert re.search(r" \d+\.\d/(s|min) ", line)
        assert re.search(r" \d:\d\d:\d\d( |$)", line)
        assert len(line) <= width
    assert (note in lines[0]) == (width == 200)


def test_a_note_that_repeats_its_stage_is_not_shown(shown):
    (line,) = shown(80, ("own prompts (automatic)", 3, 20, "own prompts (automatic)"))
    assert line.count("own prompts (automatic)") == 1
    assert " 3/20 " in line


def test_progress_in_a_file_is_lines_that_are_written_at_once(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(common, "console", Console(file=file, width=80))
    monkeypatch.setattr(plain_progress, "FIRST_LINE_SECONDS", 3600)  # a stage is short on however busy a computer
    with common.stages_bar() as progress:
        progress("encoding", 1, 2)
        progress("encoding", 2, 2)
        assert file.getvalue() == "encoding: 2 of 2\n"
        progress("training", 40, 40, "epoch 2/2")
        assert file.getvalue().splitlines()[1:] == ["training: 40 of 40, epoch 2/2"]
