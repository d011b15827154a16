"""Run commands in forked copies of this process, which has everything imported: it saves seconds each time."""

import gc
import importlib
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.crash.faults import Change, Fault, Watch

_PATTERNS = 10_000  # more than transformers compiles for a model


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative for a signal; what it printed; and what it changed."""

    code: int
    output: str
    changes: list[Change]


def begin_copy(work: Callable[[], int]) -> tuple[int, int]:
    """Begin some work in a copy of this process; return its number, and a pipe with what it prints."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            for handle in (1, 2):
                os.dup2(writing, handle)
            for handle in (reading, writing):
                os.close(handle)
            sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: PTH123, SIM115  (pipes now, not files)
            sys.stderr = sys.__stderr__ = open(2, "w", closefd=False)  # noqa: PTH123, SIM115
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    return pid, reading


def forked(work: Callable[[], int]) -> tuple[int, str]:
    """Do some work in a copy of this process; return its exit code and what it printed."""
    pid, reading = begin_copy(work)
    with open(reading, "rb") as pipe:  # noqa: PTH123
        output = pipe.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output


def run_command(arguments: Sequence[str], work: Path, fault: Fault | None = None) -> Ended:
    """Run a ``promise`` command in a copy of this process.

    Args:
        arguments: its words.
        work: the folder in which changes are counted.
        fault: what goes wrong.
    """
    noted = work.with_name("changes.json")
    noted.unlink(missing_ok=True)
    code, output = forked(lambda: watched(arguments, work, noted, fault))
    return Ended(code, output, read_changes(noted))


def watched(arguments: Sequence[str], work: Path, noted: Path, fault: Fault | None = None) -> int:
    """Run a ``promise`` command in this process, which must end with it; its changes are noted in a file."""
    from promise_seg.cli.console import run

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    time.process_time = float  # 0: no two runs take the same time
    sys.argv = ["promise", *arguments]
    watch = Watch(work, fault)
    watch.begin()
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    watch.end()
    noted.write_text(json.dumps([(change.what, change.path) for change in watch.changes]))
    return code


def read_changes(noted: Path) -> list[Change]:
    """Read the changes that a command noted; none if it was killed."""
    return [Change(*one) for one in json.loads(noted.read_text())] if noted.exists() else []


def import_what_is_used(work: Callable[[], object]) -> None:
    """Do some work in a copy of this process, and import here all the modules that it imported.

    The work itself is not done here, as what has used PyTorch's threads cannot be forked safely.

    Raises:
        RuntimeError: if the work failed.
    """

    def noting() -> int:
        work()
        print("\n" + json.dumps(sorted(sys.modules)))
        return 0

    code, output = forked(noting)
    if code:
        raise RuntimeError(f"the inputs of the commands could not be made:\n{output}")
    for name in json.loads(output.splitlines()[-1]):
        if name not in sys.modules and "__main__" not in name:
            with suppress(Exception):
                importlib.import_module(name)


def prepare_copies(sam: Path) -> None:
    """Do here what every copy would do again: read a SAM, for which transformers compiles a thousand patterns."""
    import torch

    from promise_seg.sam.loading import load_sam

    re._MAXCACHE = _PATTERNS
    load_sam(str(sam), torch.device("cpu"))
    gc.collect()
    gc.freeze()


@contextmanager
def beside(work: Callable[[int], object]) -> Iterator[int]:
    """Do some work in a copy of this process until this ends, as a server does; give the number that it sends.

    Args:
        work: called with a pipe to which it writes the number, and a line feed.
    """
    answers, tell = os.pipe()

    def working() -> int:
        work(tell)
        return 0

    pid, printed = begin_copy(working)
    os.close(tell)
    try:
        with open(answers, "rb") as pipe:  # noqa: PTH123
            yield int(pipe.readline())
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(printed)
