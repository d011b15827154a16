"""Processes that share work lose and repeat nothing when some of them are killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs copies of a process")
@pytest.mark.parametrize(("work", "rounds"), [("predict", 5), ("encode", 3)])
def test_others_end_with_what_one_process_makes(work, rounds, tmp_path):
    words = [sys.executable, "-m", "tests.killed_processes", work, str(tmp_path), str(rounds)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
