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

from promise_seg.assessment.test_log import LOG_FILE
from tests.crash.commands import Command
from tests.crash.faults import Change, Fault, Kind, can_happen
from tests.crash.processes import Ended, run_command

_CODES = {
    Kind.KILL: {-signal.SIGKILL}, Kind.HALF: {-signal.SIGKILL}, Kind.SIGINT: {130}, Kind.SIGTERM: {143},
    Kind.ENOSPC: {0, 2}, Kind.FULL: {0, 2}, Kind.EIO: {0, 2}, Kind.EACCES: {0, 2},
}  # fmt: skip
"""How a command may end with a fault: 0 where the change was one that it can do without."""
_DURATIONS = re.compile(rb'"(?:seconds|cpu_seconds)": [0-9.]+|"content_sha256": "[0-9a-f]{64}"')
_SEAL = re.compile(rb'"content_sha256": "[0-9a-f]{64}", |, "content_sha256": "[0-9a-f]{64}"')
"""The hash of a line, which may have been removed: a log that is added to keeps its other lines."""
_MOMENTS = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:]{5,8}(?:Z|\+00:00| UTC)?)?")
_TOKENS = re.compile(r"\.[0-9a-f]{8}-[0-9a-f]+-[0-9a-f]+-[0-9a-f]{8}(?=~)|\.[0-9a-f]{8}(?=\.(?:new|old)~)")
_NAMELESS = re.compile(_TOKENS.pattern.encode())
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
        mirror: the address from which is fetched.
    """

    def __init__(self, folder: Path, mirror: str) -> None:
        self.inputs, self.work, self.mirror = folder / "inputs", folder / "work", mirror

    def begin_anew(self, command: Command) -> None:
        """Put fresh inputs of a command into the folder in which it works."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for name in command.needs:
            shutil.copytree(self.inputs / name, self.work, dirs_exist_ok=True)

    def run(self, command: Command, fault: Fault | None = None) -> Ended:
        """Run a command in the folder as it is."""
        return run_command(command.arguments(self.work, self.mirror), self.work, fault)


def unbroken(bench: Bench, command: Command, runs: int) -> tuple[list[Change], dict[str, str]]:
    """Run a command without faults, and return its changes and its files.

    Raises:
        RuntimeError: if it fails, or two runs differ.
    """
    found = []
    for _ in range(runs):
        bench.begin_anew(command)
        ended = bench.run(command)
        if ended.code:
            raise RuntimeError(f"promise {command.name}: exit code {ended.code}:\n{ended.output[-_SHOWN:]}")
        found.append((ended.changes, snapshot(bench.work)))
    if differences := compare(found[0][1], found[-1][1]):
        raise RuntimeError(f"promise {command.name}: two runs without faults differ: {differences}")
    return found[-1]


def chosen_faults(changes: list[Change], count: int | None, seed: str) -> list[Fault]:
    """Return faults of all kinds at changes; if it is said how many, as many of each kind, at changes by chance."""
    all_of_them = range(1, len(changes) + 1)
    numbers = {kind: [at for at in all_of_them if can_happen(kind, changes, at)] for kind in Kind}
    rng, faults = random.Random(seed), list[Fault]()
    for at_of_kind in numbers.values():
        rng.shuffle(at_of_kind)
    for kinds in itertools.zip_longest(*numbers.values()):  # one of each kind after the other
        faults += [Fault(kind, at) for kind, at in zip(Kind, kinds, strict=True) if at is not None]
    return sorted(faults[:count], key=lambda fault: (fault.at, fault.kind))


def trials(
    bench: Bench, command: Command, count: int | None, part: tuple[int, int] = (1, 1), done: int = 0
) -> Iterator[Trial]:
    """Yield trials of a command, as they are made.

    What a command does depends on the files that it finds. Where a fault left the same files as one before, the command
    is not given again: it would do the same.

    Args:
        bench: where.
        command: the command.
        count: how many; ``None`` for each kind of fault at every change.
        part: which of how many parts of them, so that several machines can share the work.
        done: how many of them were made before, and are left out: so that a sweep that was interrupted can go on.
    """
    changes, expected = unbroken(bench, command, runs=2 if count is None else 1)  # after a fault it is run once more
    problems, looks = dict[tuple, str](), _looks(bench.work)[0]
    for fault in chosen_faults(changes, count, command.name)[part[0] - 1 :: part[1]][done:]:
        bench.begin_anew(command)
        broken = bench.run(command, fault)
        problem = _how_it_broke(fault, broken)
        if not problem:
            left = without_tokens(snapshot(bench.work))
            if left not in problems:
                problems[left] = _how_it_goes_on(bench, command, expected, looks)
            problem = problems[left]
        yield Trial(fault, str(changes[fault.at - 1]), problem)


def _how_it_goes_on(bench: Bench, command: Command, expected: dict[str, str], looks: int) -> str:
    """Give a command again, and say what is wrong then."""
    finished = _looks(bench.work)[1]
    again = bench.run(command)
    if again.code:
        return f"given again, it ended with {again.code}: {again.output[-_SHOWN:]}"
    return compare(expected, snapshot(bench.work)) or _too_many_looks(bench.work, looks, finished)


def without_tokens(files: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the files of a snapshot, with temporary names that do not say which process made them."""
    return tuple(sorted((nameless(name), content) for name, content in files.items()))


def nameless(path: str) -> str:
    """Return a path without what says which process made a temporary file."""
    return _TOKENS.sub(".token", path)


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

    Durations and moments are left out. A look at test rows whose results were complete before the fault is noted again:
    the log, and what counts its lines, may have one more (see :func:`_too_many_looks`).
    """
    content = path.read_bytes()
    if path.name == LOG_FILE:
        content = _SEAL.sub(b"", content)
    if path.suffix in _TEXTS:
        content = _MOMENTS.sub(b"then", _DURATIONS.sub(b'"seconds": 0', content))
    if path.name == LOG_FILE:
        return b"\n".join(sorted({_NAMELESS.sub(b".token", line) for line in content.splitlines()}))
    if path.name.startswith("summary_"):
        facts = json.loads(content)
        facts.pop("test_looks", None)
        return json.dumps(facts, sort_keys=True).encode()
    return content


def _looks(folder: Path) -> tuple[int, int]:
    """Return how many looks at test rows are noted in all logs of a folder, and how many of them are finished."""
    lines = [line for log in folder.rglob(LOG_FILE) for line in log.read_bytes().splitlines()]
    return len(lines), sum(b'"unfinished"' not in line for line in lines)


def _too_many_looks(folder: Path, expected: int, finished: int) -> str:
    """Say if a look is noted twice though its results were not there before; nothing if that is not so."""
    found = _looks(folder)[0]
    return "" if expected <= found <= expected + finished else f"{found} looks at test rows are noted"


def compare(expected: dict[str, str], found: dict[str, str]) -> str:
    """Say which files are missing, too many or different; nothing if there are none."""
    lines = {
        "missing": expected.keys() - found.keys(),
        "too many": found.keys() - expected.keys(),
        "different": {name for name in expected.keys() & found.keys() if expected[name] != found[name]},
    }
    return "; ".join(f"{what}: {', '.join(sorted(names))}" for what, names in lines.items() if names)
