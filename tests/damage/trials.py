"""Damage a file of ours, give a command that reads it, and say how that ended."""

import hashlib
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.crash.trials import _comparable, compare
from tests.damage.copies import run_command
from tests.damage.inputs import arguments
from tests.damage.kinds import Damage, damages
from tests.damage.readers import READERS, Reader

_ERROR = "promise: error: "
_SHOWN = 1500


class Outcome(StrEnum):
    """How a command ended that read a damaged file."""

    REFUSED = "refused in one line"
    RIGHT = "as if nothing were damaged"
    MENDED = "right, and it says what was damaged"
    NOTED = "without it, and it says so"
    UNKNOWABLE = "as if it had never been there, which nothing could tell"
    WRONG = "wrong"


@dataclass(frozen=True)
class Trial:
    """A file, its damage, a command, and how that ended; with the details of what was wrong."""

    file: str
    kind: str
    damage: str
    command: str
    outcome: Outcome
    problem: str = ""


@dataclass(frozen=True)
class Case:
    """What is done in one trial."""

    reader: Reader
    command: str
    file: Path
    damage: Damage


class Bench:
    """Where the trials take place.

    Args:
        whole: holds the undamaged inputs.
        work: where the commands find them; the same folder in all trials, as files hold paths.
    """

    def __init__(self, whole: Path, work: Path) -> None:
        self.whole, self.work = whole, work
        self._expected: dict[tuple[str, str], tuple[dict[str, str], str]] = {}
        self._hashes: dict[tuple[int, int, int, str], str] = {}

    def begin_anew(self, reader: Reader) -> None:
        """Put fresh inputs into the folder in which commands work: as links, since commands write files anew."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for name in reader.needs:
            source = self.whole / name
            if source.is_dir():
                shutil.copytree(source, self.work / name, copy_function=os.link)
            else:
                os.link(source, self.work / name)

    def unbroken(self, reader: Reader, command: str) -> tuple[dict[str, str], str]:
        """Return the files and the output of a command without damage.

        Raises:
            RuntimeError: if it fails.
        """
        key = (reader.pattern, command)
        if key not in self._expected:
            self.begin_anew(reader)
            code, output = run_command(arguments(command, self.work))
            if code:
                raise RuntimeError(f"promise {command}: exit code {code}\n{output}")
            self._expected[key] = self.snapshot(), output
        return self._expected[key]

    def try_out(self, case: Case) -> Trial:
        """Damage a file, run a command, and compare with the command without damage."""
        expected, usual = self.unbroken(case.reader, case.command)
        self.begin_anew(case.reader)
        path = self.work / case.file
        path.unlink()
        shutil.copy(self.whole / case.file, path)
        case.damage.do(path)
        before = _state(path)
        code, output = run_command(arguments(case.command, self.work), all_files=case.damage.kind != "no permission")
        after = _state(path)
        if path.is_file():
            path.chmod(0o644)
        outcome, problem = self._judge(case, code, output, usual)
        if outcome is None:
            found = self.snapshot()
            name = case.file.as_posix()
            if after == before:  # left as it was
                found[name] = expected.get(name, "")
            differences = compare(expected, found)
            says_so = _says_so(output, usual, path)
            if differences and case.damage.kind == "missing" and case.reader.may_never_have_been:
                outcome = Outcome.UNKNOWABLE
            elif differences:
                outcome, problem = (Outcome.NOTED if says_so else Outcome.WRONG), f"{differences}\n{output[-_SHOWN:]}"
            else:
                outcome = Outcome.MENDED if says_so else Outcome.RIGHT
        elif outcome == Outcome.REFUSED and after != before:
            outcome, problem = Outcome.WRONG, f"refused, but the file was changed: {output[-_SHOWN:]}"
        words = case.command.split()[0]
        return Trial(case.file.as_posix(), case.damage.kind, case.damage.what, words, outcome, problem)

    def snapshot(self) -> dict[str, str]:
        """Return the hash of what is comparable in each file; once for a file that commands left alone."""
        found = {}
        for path in sorted(self.work.rglob("*")):
            facts = path.stat()
            key = facts.st_ino, facts.st_size, facts.st_mtime_ns, path.name
            if path.is_dir():
                self._hashes[key] = "a folder"
            elif key not in self._hashes:
                self._hashes[key] = hashlib.sha256(_comparable(path)).hexdigest()
            found[path.relative_to(self.work).as_posix()] = self._hashes[key]
        return found

    def _judge(self, case: Case, code: int, output: str, usual: str) -> tuple[Outcome | None, str]:
        """Return the outcome of what failed; ``None`` for a command that ended well."""
        errors = [line for line in output.splitlines() if line.startswith(_ERROR)]
        if "Traceback" in output or code not in (0, 2):
            return Outcome.WRONG, f"exit code {code}: {output[-_SHOWN:]}"
        if code == 0:
            return None, ""
        last = [line for line in output.splitlines() if line.strip()][-1]
        if len(errors) != 1 or not last.startswith(_ERROR):
            return Outcome.WRONG, f"not one line: {output[-_SHOWN:]}"
        if not _says_so(output, usual, case.file):  # a benchmark names the files of each model above its last line
            return Outcome.WRONG, f"nothing names it: {last}"
        return Outcome.REFUSED, last


def _state(path: Path) -> str:
    """Return what is at a path."""
    if path.is_dir():
        return "a folder"
    if not path.exists():
        return "nothing"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _says_so(output: str, usual: str, path: Path) -> bool:
    """Whether a command printed something about a file that it does not print without damage."""
    more = [line for line in output.splitlines() if line not in usual]
    text = "".join(more)
    return any(name in text for name in (path.name, path.stem[:20], f"{path.parent.name}/")) or "no trust" in text


def cases(bench: Bench, names: Sequence[str] = ()) -> Iterator[Case]:
    """Yield all that can be tried: each file, each damage, each command that reads it.

    Args:
        bench: where.
        names: beginnings of the names of files; all by default.
    """
    for reader in READERS:
        for path in sorted(bench.whole.glob(reader.pattern))[: reader.most]:
            file = path.relative_to(bench.whole)
            if not path.is_file() or (names and not file.as_posix().startswith(tuple(names))):
                continue
            for damage in damages(path):
                for command in reader.commands:
                    yield Case(reader, command, file, damage)


def sample(found: Sequence[Case], count: int, seed: int) -> list[Case]:
    """Return some cases by chance, of all files and kinds in turn."""
    rng = random.Random(seed)
    order = list(found)
    rng.shuffle(order)
    chosen, seen = [], set()
    for case in order:
        key = case.file.name, case.damage.kind
        if key not in seen:
            seen.add(key)
            chosen.append(case)
    return chosen[:count]
