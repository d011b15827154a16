"""Several commands at once in one store, one log of test looks, one folder; and locks that others left."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from promise_seg.storage.locks import LOCK_FILE
from tests.crash.trials import compare
from tests.damage.copies import Copy, run_command
from tests.damage.inputs import EVALUATE, TRAIN_NEW, TRAIN_TWICE, arguments
from tests.damage.readers import Reader
from tests.damage.trials import Bench

_WRITERS = 4
_FRESH = Reader("", ("sam", "data"), ())
_MODEL = Reader("", ("sam", "data", "run", "store"), ())
_PARTS = Reader("", ("sam", "parts", "run"), ())
_TAKEN = "is training here"
_LATER, _POLL, _PATIENCE, _TRIES = 3600, 0.005, 120.0, 5


def together(bench: Bench, times: int) -> Iterator[tuple[str, str]]:
    """Yield what was tried and what was wrong, nothing if all was well."""
    for _ in range(times):
        yield "four trainings fill one store", _one_store(bench)
        yield "four evaluations note their looks", _one_log(bench)
        yield "four predictions into one folder", _one_folder(bench)
        yield "two trainings in one folder", _one_run(bench)
        yield "the lock of a killed training", _killed_owner(bench)
        yield "the lock of another computer", _another_computer(bench)


def _at_once(bench: Bench, commands: list[str]) -> list[tuple[int, str]]:
    copies = [Copy.of_command(arguments(words, bench.work)) for words in commands]
    return [copy.wait() for copy in copies]


def _failed(ended: list[tuple[int, str]]) -> str:
    return "; ".join(f"exit code {code}: {output[-500:]}" for code, output in ended if code)


def _one_store(bench: Bench) -> str:
    """Four trainings that need the same features, each into its own folder."""
    expected, _ = bench.unbroken(_FRESH, TRAIN_NEW)
    bench.begin_anew(_FRESH)
    if failed := _failed(_at_once(bench, [TRAIN_NEW.replace("/new", f"/new{number}") for number in range(_WRITERS)])):
        return failed
    found = bench.snapshot()
    for number in range(_WRITERS):
        rest = {name: one for name, one in found.items() if not name.startswith("new")}
        for name, one in found.items():
            if name == f"new{number}" or name.startswith(f"new{number}/"):
                rest[name.replace(f"new{number}", "new", 1)] = one
        if problem := compare(expected, rest):
            return f"training {number}: {problem}"
    return ""


def _one_log(bench: Bench) -> str:
    """Four evaluations of one model, all of whose looks must be noted."""
    bench.begin_anew(_MODEL)
    log = bench.work / "run/test_log.jsonl"
    before = log.read_text().splitlines()
    commands = [EVALUATE.replace("/scores", f"/look{number} --prompts oracle --seed {number}") for number in range(4)]
    if failed := _failed(_at_once(bench, commands)):
        return failed
    after = log.read_text().splitlines()
    return "" if after[: len(before)] == before and len(after) == len(before) + _WRITERS else f"{len(after)} lines"


def _one_folder(bench: Bench) -> str:
    """Four predictions of other images into one folder, whose table must have all of them."""
    commands = [f"predict {{w}}/run {{w}}/parts/{number} -o {{w}}/predicted" for number in range(_WRITERS)]
    bench.begin_anew(_PARTS)
    alone = _failed([run_command(arguments(words, bench.work)) for words in commands])
    expected = bench.snapshot()
    bench.begin_anew(_PARTS)
    return alone or _failed(_at_once(bench, commands)) or compare(expected, bench.snapshot())


def _one_run(bench: Bench) -> str:
    """Two trainings in one folder: one is refused, unless it began after the other had ended."""
    expected, _ = bench.unbroken(_FRESH, TRAIN_TWICE)
    bench.begin_anew(_FRESH)
    ended = _at_once(bench, [TRAIN_TWICE] * 2)
    codes = sorted(code for code, _ in ended)
    if codes not in ([0, 0], [0, 2]) or (codes == [0, 2] and not any(_TAKEN in output for _, output in ended)):
        return "; ".join(f"exit code {code}: {output[-500:]}" for code, output in ended)
    return compare(expected, bench.snapshot())


def _killed_owner(bench: Bench) -> str:
    """A training that is killed while it holds its lock; the next takes it over at once."""
    expected, _ = bench.unbroken(_FRESH, TRAIN_TWICE)
    lock = bench.work / "new" / LOCK_FILE
    for _ in range(_TRIES):  # on a busy computer it may end before it is killed
        bench.begin_anew(_FRESH)
        copy = Copy.of_command(arguments(TRAIN_TWICE, bench.work))
        until = time.monotonic() + _PATIENCE
        while not lock.exists() and time.monotonic() < until:
            time.sleep(_POLL)
        os.kill(copy.pid, signal.SIGKILL)
        copy.wait()
        if lock.exists():
            break
    else:
        return "it held no lock when it was killed"
    return _failed([run_command(arguments(TRAIN_TWICE, bench.work))]) or compare(expected, bench.snapshot())


def _another_computer(bench: Bench) -> str:
    """The lock of a process of another computer: refused while it is renewed, taken over when it is not."""
    expected, _ = bench.unbroken(_FRESH, TRAIN_TWICE)
    bench.begin_anew(_FRESH)
    lock = bench.work / "new" / LOCK_FILE
    _write_lock(lock)
    code, output = run_command(arguments(TRAIN_TWICE, bench.work))
    if code != 2 or "process 7 on elsewhere" not in output:
        return f"not refused: exit code {code}: {output[-500:]}"
    then = time.time() - _LATER
    os.utime(lock, (then, then))
    problem = _failed([run_command(arguments(TRAIN_TWICE, bench.work))]) or compare(expected, bench.snapshot())
    shutil.rmtree(bench.work)
    return problem


def _write_lock(path: Path) -> None:
    path.parent.mkdir()
    since = "2026-01-01T00:00:00+00:00"
    holder = {"host": "elsewhere", "system": "elsewhere 1", "pid": 7, "started": 1.0, "since": since, "token": "t"}
    path.write_text(json.dumps(holder))
