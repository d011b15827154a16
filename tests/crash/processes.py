"""Run commands in forked copies of this process, which has everything imported: it saves seconds each time."""

import gc
import importlib
import json
import math
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from tests.crash.faults import Change, Fault, Watch

_PATTERNS = 10_000


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
            sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115  (pipes now, not files)
            sys.stderr = sys.__stderr__ = open(2, "w", closefd=False)  # noqa: SIM115
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
    """Run a ``promise`` command in a copy of this process, and import here what it imported.

    Args:
        arguments: its words.
        work: the folder in which changes are counted.
        fault: what goes wrong.
    """
    noted = work.with_name("changes.json")
    noted.unlink(missing_ok=True)
    gc.freeze()
    code, output = forked(lambda: watched(arguments, work, noted, fault))
    if not noted.exists():  # it was killed
        return Ended(code, output, [])
    facts = json.loads(noted.read_text())
    _import_all(facts["modules"])
    return Ended(code, output, [Change(*one) for one in facts["changes"]])


def watched(arguments: Sequence[str], work: Path, noted: Path, fault: Fault | None = None) -> int:
    """Run a ``promise`` command in this process, which must end with it; its changes are noted in a file."""
    from promise_seg.cli.console import run
    from promise_seg.prediction import table

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    time.process_time = float  # 0: no two runs take the same time
    table._SAVE_SECONDS = math.inf  # as often in each run, however busy the computer is
    sys.argv = ["promise", *arguments]
    watch = Watch(work, fault)
    watch.begin()
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    watch.end()
    changes = [(change.what, change.path) for change in watch.changes]
    noted.write_text(json.dumps({"changes": changes, "modules": sorted(sys.modules)}))
    return code


def done_aside(work: Callable[[], object]) -> None:
    """Do some work in a copy of this process: what has used PyTorch's threads cannot be forked safely.

    The modules that it imported are imported here.

    Raises:
        RuntimeError: if the work failed.
    """

    def working() -> int:
        work()
        print("\n" + json.dumps(sorted(sys.modules)))
        return 0

    code, output = forked(working)
    if code:
        raise RuntimeError(f"the inputs of the commands could not be made:\n{output}")
    _import_all(json.loads(output.splitlines()[-1]))


def _import_all(names: Sequence[str]) -> None:
    for name in names:
        if name not in sys.modules and "__main__" not in name:
            with suppress(Exception):
                importlib.import_module(name)


def keep_in_memory(sam: Path, place: Path) -> None:
    """Read a SAM here, as every copy would do again.

    Args:
        sam: where the SAM is.
        place: where commands find it; what they read there is a copy of the one in memory.
    """
    from promise_seg.sam import loading

    re._MAXCACHE = _PATTERNS  # transformers compiles a thousand for a model
    read = loading.model_from_folder
    model = read(str(sam))

    def from_memory(source: str):
        return deepcopy(model) if source == str(place) else read(source)

    loading.model_from_folder = from_memory


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
