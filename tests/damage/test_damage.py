"""Files of ours that are damaged, commands that are killed, and several commands at once: a sample of each.

``python -m tests.damage --kills 500 --together 25`` does all of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork") or sys.platform != "linux", reason="needs Linux"),
]

FILES = ("run", "scores0", "predicted", "store", "classes", "pretrained")
"""Files of benchmarks, and of trainings that were interrupted, take longer: they are for the whole."""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What came of each trial."""
    log = tmp_path_factory.mktemp("damage") / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "tests.damage", *FILES, "--sample", "16", "--kills", "2", "--together", "1",
         "--log", str(log)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert log.exists(), done.stderr
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize(("part", "count"), [("kills", 2), ("together", 6)])
def test_commands_that_are_killed_or_run_at_once_leave_the_files_of_one_alone(found, part, count):
    trials = [one for one in found if one["part"] == part]
    assert len(trials) == count
    assert [one for one in trials if one["problem"]] == []


def test_a_damaged_file_is_refused_in_one_line_or_mended(found):
    trials = [one for one in found if one["part"] == "files"]
    assert len(trials) == 16
    assert [one for one in trials if one["outcome"] == "wrong"] == []
