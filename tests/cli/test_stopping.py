"""Signals end a command in one line and their own exit code, whenever they come."""

import os
import signal
import subprocess
import sys

import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

WHILE_IT_WORKS = """
import os, signal
from promise_seg.curation.pairing import folders
real = folders.pair_folder
def pair_folder(folder):
    os.kill(os.getpid(), signal.{name})
    return real(folder)
folders.pair_folder = pair_folder
"""
WHILE_IT_LOADS = """
import os, signal, sys
class Library:
    def find_spec(self, name, *_):
        if name == "promise_seg.cli.main":
            try:
                os.kill(os.getpid(), signal.{name})
            except KeyboardInterrupt:
                raise ImportError("the core of this library failed to import") from None
sys.meta_path.insert(0, Library())
"""
WHILE_THE_LINE_IS_PARSED = """
import os, signal, typer
real = typer.core.TyperGroup.make_context
def make_context(*words, **more):
    os.kill(os.getpid(), signal.{name})
    return real(*words, **more)
typer.core.TyperGroup.make_context = make_context
"""
TWICE_AT_ONCE = """
import atexit, os, signal
from promise_seg.cli import stopping
stopping._AT_ONCE_SECONDS = 600  # on however busy a computer
from promise_seg.curation.pairing import folders
def pair_folder(folder):
    try:
        os.kill(os.getpid(), signal.{name})
    finally:
        os.kill(os.getpid(), signal.{name})
        print("put in order")
folders.pair_folder = pair_folder
atexit.register(lambda: os.kill(os.getpid(), signal.{name}))
"""
RUN = "\nfrom promise_seg.cli.console import run\nrun()\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name / "a.png")
    return tmp_path


def as_in_a_terminal():
    """Let no signal be ignored, as they are below nohup, or in the background of a script."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def make(folder, code, name, begin=as_in_a_terminal):
    return subprocess.run(
        [sys.executable, "-c", code.format(name=name) + RUN, "data", "make", str(folder), "-o", str(folder / "m.csv")],
        capture_output=True, text=True, check=False, preexec_fn=begin,
    )  # fmt: skip


@pytest.mark.parametrize("code", [WHILE_IT_WORKS, WHILE_IT_LOADS, WHILE_THE_LINE_IS_PARSED])
@pytest.mark.parametrize(
    ("name", "exit_code", "words"),
    [
        ("SIGINT", 130, "interrupted"),
        ("SIGTERM", 143, "stopped by SIGTERM"),
        ("SIGHUP", 129, "stopped by SIGHUP"),
    ],
)
def test_a_signal_ends_the_command_in_one_line(folder, code, name, exit_code, words):
    done = make(folder, code, name)
    assert done.returncode == exit_code
    assert done.stderr == (f"promise: {words}. No file is half-written; run the same command again.\n")
    assert not (folder / "m.csv").exists()


def test_a_signal_that_comes_again_does_not_interrupt_the_end(folder):
    done = make(folder, TWICE_AT_ONCE, "SIGTERM")
    assert done.returncode == 143
    assert done.stderr == "promise: stopped by SIGTERM. No file is half-written; run the same command again.\n"
    assert "put in order" in done.stdout


def test_a_signal_that_is_ignored_as_by_nohup_stays_so(folder):
    done = make(folder, WHILE_IT_WORKS, "SIGHUP", begin=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert done.returncode == 0
    assert (folder / "m.csv").exists()


def test_an_error_while_loading_is_shown_as_it_is(folder):
    done = make(folder, WHILE_IT_LOADS.replace("os.kill(os.getpid(), signal.{name})", "raise KeyboardInterrupt"), "")
    assert done.returncode == 1
    assert "the core of this library failed to import" in done.stderr


def test_output_that_cannot_be_printed_is_no_failure_of_the_command(folder):
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("needs the device /dev/full")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", RUN, "data", "make", str(folder), "-o", str(folder / "m.csv")],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert "promise: not all of the output could be printed: No space left on device. Files are complete" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "m.csv").exists()
