"""Run commands in forked copies of this process, which has everything imported: it saves seconds each time."""

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.crash.faults import Change, Fault, Watch


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative for a signal; what it printed; and what it changed."""

    code: int
    output: str
    changes: list[Change]


def forked(work: Callable[[], int], output: Path) -> int:
    """Do some work in a copy of this process and return its exit code; what it prints goes to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_command(arguments: Sequence[str], work: Path, fault: Fault | None = None) -> Ended:
    """Run a ``promise`` command in a copy of this process.

    Args:
        arguments: its words.
        work: the folder in which changes are counted.
        fault: what goes wrong.
    """
    output, noted = work.with_name("output.txt"), work.with_name("changes.json")
    noted.unlink(missing_ok=True)

    def command() -> int:
        from promise_seg.cli.console import run

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        sys.argv = ["promise", *arguments]
        watch = Watch(work, fault)
        watch.begin()
        code = 0
        try:
            run()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        noted.write_text(json.dumps([(change.what, change.path) for change in watch.changes]))
        return code

    code = forked(command, output)
    changes = [Change(*one) for one in json.loads(noted.read_text())] if noted.exists() else []
    return Ended(code, output.read_text(errors="replace"), changes)


def import_what_is_used(work: Callable[[], object], notes: Path) -> None:
    """Do some work in a copy of this process, and import here all the modules that it imported.

    The work itself is not done here, as what has used PyTorch's threads cannot be forked safely.

    Raises:
        RuntimeError: if the work failed.
    """

    def noting() -> int:
        work()
        notes.write_text(json.dumps(sorted(sys.modules)))
        return 0

    output = notes.with_name("setup.txt")
    if forked(noting, output):
        raise RuntimeError(f"the inputs of the commands could not be made:\n{output.read_text()}")
    for name in json.loads(notes.read_text()):
        if name not in sys.modules and "__main__" not in name:
            with suppress(Exception):
                importlib.import_module(name)
