"""Break a command at a change of files, give it again, and compare with a run that was not broken."""

import hashlib
import itertools
import json
import random
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash.commands import Command
from tests.crash.faults import Change, Fault, Kind, can_be_halved
from tests.crash.processes import Ended, run_command

_CODES = {
    Kind.KILL: {-signal.SIGKILL}, Kind.HALF: {-signal.SIGKILL}, Kind.SIGINT: {130}, Kind.SIGTERM: {143},
    Kind.ENOSPC: {0, 2}, Kind.EIO: {0, 2}, Kind.EACCES: {0, 2},
}  # fmt: skip
"""How a command may end with a fault: 0 where the change was one that it can do without."""
_DURATIONS = re.compile(rb'"(?:seconds|cpu_seconds)": [0-9.]+|"content_sha256": "[0-9a-f]{64}"')
_MOMENTS = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{5,8}(?:Z|\+00:00| UTC)?")
_TEXTS = frozenset({".json", ".jsonl", ".html"})
_SHOWN = 1500


@dataclass(frozen=True)
class Trial:
    """A fault, and what was wrong after it; empty if nothing was."""

    fault: Fault
    where: str
    problem: str


class Bench:
    """Where the trials of commands take place.

    Args:
        folder: holds the inputs in ``inputs``; all trials work in the same folder ``work``, as files hold paths.
    """

    def __init__(self, folder: Path) -> None:
        self.inputs, self.work = folder / "inputs", folder / "work"

    def begin_anew(self, command: Command) -> None:
        """Put fresh inputs of a command into the folder in which it works."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for name in command.needs:
            shutil.copytree(self.inputs / name, self.work, dirs_exist_ok=True)

    def run(self, command: Command, fault: Fault | None = None) -> Ended:
        """Run a command in the folder as it is."""
        return run_command(command.arguments(self.work), self.work, fault)


def unbroken(bench: Bench, command: Command) -> tuple[list[Change], dict[str, str]]:
    """Run a command twice without faults, and return its changes and its files.

    Raises:
        RuntimeError: if it fails, or two runs differ.
    """
    found = []
    for _ in range(2):
        bench.begin_anew(command)
        ended = bench.run(command)
        if ended.code:
            raise RuntimeError(f"promise {command.name}: exit code {ended.code}:\n{ended.output[-_SHOWN:]}")
        found.append((ended.changes, snapshot(bench.work)))
    if differences := compare(found[0][1], found[1][1]):
        raise RuntimeError(f"promise {command.name}: two runs without faults differ: {differences}")
    return found[1]


def chosen_faults(changes: list[Change], count: int | None, seed: str) -> list[Fault]:
    """Return faults of all kinds at changes; if it is said how many, as many of each kind, at changes by chance."""
    numbers = {kind: list(range(1, len(changes) + 1)) for kind in Kind}
    numbers[Kind.HALF] = [at for at in numbers[Kind.HALF] if can_be_halved(changes, at)]
    rng, faults = random.Random(seed), list[Fault]()
    for at_of_kind in numbers.values():
        rng.shuffle(at_of_kind)
    for kinds in itertools.zip_longest(*numbers.values()):  # one of each kind after the other
        faults += [Fault(kind, at) for kind, at in zip(Kind, kinds, strict=True) if at is not None]
    return sorted(faults[:count], key=lambda fault: (fault.at, fault.kind))


def trials(bench: Bench, command: Command, count: int | None) -> Iterator[Trial]:
    """Yield trials of a command, as they are made.

    Args:
        bench: where.
        command: the command.
        count: how many; ``None`` for each kind of fault at every change.
    """
    changes, expected = unbroken(bench, command)
    for fault in chosen_faults(changes, count, command.name):
        bench.begin_anew(command)
        broken = bench.run(command, fault)
        problem = _how_it_broke(fault, broken)
        if not problem:
            again = bench.run(command)
            if again.code:
                problem = f"given again, it ended with {again.code}: {again.output[-_SHOWN:]}"
            else:
                problem = compare(expected, snapshot(bench.work))
        yield Trial(fault, str(changes[fault.at - 1]), problem)


def _how_it_broke(fault: Fault, ended: Ended) -> str:
    if ended.code in _CODES[fault.kind] and "Traceback" not in ended.output:
        return ""
    return f"with the fault, it ended with {ended.code}: {ended.output[-_SHOWN:]}"


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of each file in a folder, without times; of folders, that they are there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = "a folder" if path.is_dir() else hashlib.sha256(_comparable(path)).hexdigest()
    return found


def _comparable(path: Path) -> bytes:
    """Return what of a file must be the same in every run.

    Durations and moments are left out. A look at test rows that was noted before the fault is noted again: the
    log, and what counts its lines, may have one more.
    """
    content = path.read_bytes()
    if path.suffix in _TEXTS:
        content = _MOMENTS.sub(b"then", _DURATIONS.sub(b'"seconds": 0', content))
    if path.name == "test_log.jsonl":
        return b"\n".join(sorted(set(content.splitlines())))
    if path.name.startswith("summary_"):
        facts = json.loads(content)
        facts.pop("test_looks", None)
        return json.dumps(facts, sort_keys=True).encode()
    return content


def compare(expected: dict[str, str], found: dict[str, str]) -> str:
    """Say which files are missing, too many or different; nothing if there are none."""
    lines = {
        "missing": expected.keys() - found.keys(),
        "too many": found.keys() - expected.keys(),
        "different": {name for name in expected.keys() & found.keys() if expected[name] != found[name]},
    }
    return "; ".join(f"{what}: {', '.join(sorted(names))}" for what, names in lines.items() if names)
