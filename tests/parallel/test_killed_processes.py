"""Processes that share work lose and repeat nothing when some of them are killed."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.parallel.killed_processes import LIMIT_SECONDS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs copies of a process")
@pytest.mark.parametrize(("work", "rounds"), [("predict", 3), ("encode", 2)])
def test_others_end_with_what_one_process_makes(work, rounds, tmp_path):
    words = [sys.executable, "-m", "tests.parallel.killed_processes", work, str(tmp_path), str(rounds)]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            problems = process.communicate(timeout=2 * LIMIT_SECONDS)[1]
        finally:
            with suppress(ProcessLookupError):  # its copies end with it
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, problems
