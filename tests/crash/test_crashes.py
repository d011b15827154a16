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
from tests.crash.faults import Change, Fault, Kind
from tests.crash.inputs import write_parts
from tests.crash.processes import run_command
from tests.crash.trials import Bench, nameless, snapshot, without_tokens

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork") or not Path("/proc/self/fd").is_dir(), reason="needs Linux"),
]
ROOT = Path(__file__).parents[2]
BY_NAME = {command.name: command for command in COMMANDS}
FRESH = """
import sys
from pathlib import Path
from tests.crash.faults import Fault, Kind
from tests.crash.processes import watched
work, noted, kind, at, *words = sys.argv[1:]
fault = Fault(Kind(kind), int(at)) if kind else None
sys.exit(watched(words, Path(work), Path(noted), fault))
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """What was wrong after each fault, by command."""
    noted = tmp_path_factory.mktemp("broken") / "found.json"
    words = [sys.executable, "-m", "tests.crash", "--json", str(noted)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert noted.exists(), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(noted.read_text())


@pytest.mark.parametrize("name", BY_NAME)
def test_a_command_that_was_broken_ends_as_an_unbroken_one(name, broken):
    wrong = [f"{one['fault']} ({one['where']}): {one['problem']}" for one in broken[name] if one["problem"]]
    assert broken[name]
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def bench(tmp_path):
    write_parts(tmp_path / "inputs" / "pairs" / "pairs")
    return Bench(tmp_path, "")


def in_its_own_process(bench, command, fault=None):
    """The changes of a command in a process that has nothing imported; none if it was killed."""
    noted = bench.work.with_name("fresh.json")
    noted.unlink(missing_ok=True)
    of_fault = [fault.kind, str(fault.at)] if fault else ["", ""]
    words = [sys.executable, "-c", FRESH, bench.work, noted, *of_fault, *command.arguments(bench.work, "")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == (-9 if fault else 0), done.stderr
    return [Change(*one) for one in json.loads(noted.read_text())["changes"]] if noted.exists() else []


def named(changes):
    return [nameless(str(change)) for change in changes]


def test_faults_find_the_same_changes_in_a_copied_process_as_in_one_of_its_own(bench):
    command = BY_NAME["data make"]
    bench.begin_anew(command)
    own = in_its_own_process(bench, command)
    bench.begin_anew(command)
    copied = run_command(command.arguments(bench.work, ""), bench.work).changes
    assert len(own) > 20
    assert named(own) == named(copied)


@pytest.mark.parametrize("kind", [Kind.KILL, Kind.HALF])
def test_a_copied_process_leaves_the_same_files_as_one_of_its_own(bench, kind):
    command, left = BY_NAME["data make"], []
    fault = Fault(kind, 14)
    for run in (in_its_own_process, lambda *what: run_command(command.arguments(bench.work, ""), bench.work, fault)):
        bench.begin_anew(command)
        run(bench, command, fault)
        left.append(without_tokens(snapshot(bench.work)))
    assert left[0] == left[1]
