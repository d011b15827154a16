"""Whatever stops a command that writes, the same command ends as if nothing had: with the same files and no others.

Here with some faults, which are the same in every run; ``make crash-test`` brings about each fault at every change.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.commands import COMMANDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork") or not Path("/proc/self/fd").is_dir(), reason="needs Linux"),
]
SLOW = {"train", "evaluate", "report", "tune-postprocess", "calibrate", "budget"}


def broken(names, folder):
    """What was wrong after each fault in some commands, by their names."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *names, "--json", str(folder / "found.json")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (folder / "found.json").exists(), done.stderr
    return json.loads((folder / "found.json").read_text())


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    names = [command.name for command in COMMANDS if command.name not in SLOW]
    return broken(names, tmp_path_factory.mktemp("quick"))


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    return broken(sorted(SLOW), tmp_path_factory.mktemp("slow"))


def check(trials):
    wrong = [f"{one['fault']} ({one['where']}): {one['problem']}" for one in trials if one["problem"]]
    assert trials
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [command.name for command in COMMANDS if command.name not in SLOW])
def test_a_command_that_was_broken_ends_as_an_unbroken_one(name, quick):
    check(quick[name])


@pytest.mark.parametrize("name", sorted(SLOW))
def test_a_command_that_computes_for_longer_does_so_too(name, slow):
    check(slow[name])
