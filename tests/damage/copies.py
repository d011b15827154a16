"""Run commands in copies of this process, which has everything imported; also as a user who may not read all files."""

import ctypes
import importlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.crash.processes import begin_copy

_CAPSET_VERSION = 0x20080522  # from Linux's capability.h
_READS_ALL = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
_PATTERNS = 10_000  # more than transformers compiles for a model


class Copy:
    """A copy of this process that does some work.

    Args:
        work: returns the exit code.
    """

    def __init__(self, work: Callable[[], int]) -> None:
        self.pid, self._reading = begin_copy(work)

    @classmethod
    def of_command(cls, arguments: Sequence[str]) -> "Copy":
        """Begin a ``promise`` command."""
        return cls(lambda: begin_command(arguments))

    def wait(self) -> tuple[int, str]:
        """Return its exit code, negative for a signal, and what it printed."""
        with os.fdopen(self._reading, "rb") as pipe:
            output = pipe.read().decode(errors="replace")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), output


def begin_command(arguments: Sequence[str]) -> int:
    """Run a ``promise`` command in this process, which must end with it; return its exit code."""
    from promise_seg.cli.console import run

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.fsync = lambda _handle: None  # no waiting for the disk
    time.process_time = float  # 0: no two runs take the same time
    sys.argv = ["promise", *arguments]
    try:
        run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def run_command(arguments: Sequence[str], *, all_files: bool = True) -> tuple[int, str]:
    """Run a ``promise`` command in a copy of this process.

    Args:
        arguments: its words.
        all_files: whether it may read all files, if this process may, as the administrator does.
    """

    def command() -> int:
        if not all_files:
            obey_modes()
        return begin_command(arguments)

    return Copy(command).wait()


def obey_modes() -> None:
    """Let this process read and write only what the modes of files allow it, also if it is the administrator's."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPSET_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    sets[0] &= ~_READS_ALL
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def import_what_is_used(work: Callable[[], object], sam: Path) -> None:
    """Do some work in a copy of this process, and prepare this one, so that other copies have less to do.

    The work itself is not done here, as what has used PyTorch's threads cannot be forked safely.

    Args:
        work: imports what the copies will use, and makes their inputs.
        sam: made by it; read once here, as transformers compiles a thousand patterns for it.

    Raises:
        RuntimeError: if the work failed.
    """

    def noting() -> int:
        work()
        print("\n" + json.dumps(sorted(sys.modules)))
        return 0

    code, output = Copy(noting).wait()
    if code:
        raise RuntimeError(f"the inputs of the commands could not be made:\n{output}")
    for name in json.loads(output.splitlines()[-1]):
        if name not in sys.modules and "__main__" not in name:
            with suppress(Exception):
                importlib.import_module(name)
    from promise_seg.sam.loading import load_sam

    re._MAXCACHE = _PATTERNS
    load_sam(str(sam), "cpu")
