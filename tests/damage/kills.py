"""Kill a training or a prediction at a moment by chance, give the same command again, and compare all files."""

import os
import random
import signal
import time
from collections.abc import Iterator

from tests.crash.trials import compare
from tests.damage.copies import Copy, run_command
from tests.damage.inputs import PREDICT, TRAIN_TWICE, arguments
from tests.damage.readers import Reader
from tests.damage.trials import Bench

_COMMANDS = (
    (Reader("", ("sam", "data"), ()), TRAIN_TWICE),
    (Reader("", ("sam", "data", "run"), ()), PREDICT),
)
_SHOWN = 800
_PAUSE_SECONDS = 0.01


def kills(bench: Bench, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield the command and what was wrong, nothing if all was well, for so many kills of commands in turn.

    A command that ended before it could be killed does not count.
    """
    rng, usual = random.Random(seed), {}
    for needs, words in _COMMANDS:
        bench.unbroken(needs, words)  # the first is always slower
        bench.begin_anew(needs)
        started = time.monotonic()
        run_command(arguments(words, bench.work))
        usual[words] = time.monotonic() - started
    done = 0
    while done < count:
        needs, words = _COMMANDS[done % len(_COMMANDS)]
        expected, _ = bench.unbroken(needs, words)
        bench.begin_anew(needs)
        copy = Copy.of_command(arguments(words, bench.work))
        if (lasted := _seconds_until_end(copy.pid, rng.uniform(0.05, 1.0) * usual[words])) is None:
            os.kill(copy.pid, signal.SIGKILL)
        code, _ = copy.wait()
        if code != -signal.SIGKILL:
            usual[words] = usual[words] if lasted is None else lasted  # the machine was busier before
            continue
        done += 1
        code, output = run_command(arguments(words, bench.work))
        problem = compare(expected, bench.snapshot())
        if code or problem:
            problem = f"given again, exit code {code}: {problem}: {output[-_SHOWN:]}"
        yield words.split()[0], problem


def _seconds_until_end(pid: int, most: float) -> float | None:
    """Wait for a process, but no longer than that; return how long it took, or ``None`` if it still runs."""
    started = time.monotonic()
    while time.monotonic() - started < most:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return time.monotonic() - started
        time.sleep(_PAUSE_SECONDS)
    return None
