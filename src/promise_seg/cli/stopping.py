"""Signals that stop a command: Ctrl-C, and what a scheduler, a container or a closed terminal sends."""

import signal
import sys
import time
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_AT_ONCE_SECONDS = 2.0
_received: list[int] = []
_begun = 0.0
_said = False


class Stopped(KeyboardInterrupt):
    """A signal asked this process to stop."""


def listen() -> None:
    """Let signals that end a process raise :class:`Stopped`, so that files and locks are left as after Ctrl-C.

    Signals that are ignored, as with ``nohup``, stay so.
    """
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise :class:`Stopped`, but not again for what is sent twice.

    Slurm sends ``SIGTERM`` to a job and to its step. The second one, which comes at once, must not interrupt what the
    first one left to be put in order.
    """
    global _begun
    del frame
    if _received and number != signal.SIGINT and time.monotonic() - _begun < _AT_ONCE_SECONDS:
        return
    _begun = time.monotonic()
    _received.append(number)
    raise Stopped


def was_stopped() -> bool:
    """Whether a signal asked this process to stop, also if what it raised was caught and became something else."""
    return bool(_received)


def was_said() -> bool:
    """Whether :func:`say_stopped` said already that the command was stopped."""
    return _said


def was_by_hand() -> bool:
    """Whether what stops this process is Ctrl-C, by which a server ends, and no other signal."""
    return not _received or _received[-1] == signal.SIGINT


def say_stopped() -> int:
    """Say that the command was stopped, and return the exit code that shells give to it: 130 for Ctrl-C.

    Signals that come from now on are ignored, as the process is about to end.
    """
    for name in _NAMES if _received else ():
        if (each := getattr(signal, name, None)) is not None:
            signal.signal(each, signal.SIG_IGN)
    global _said
    _said = True
    number = _received[-1] if _received else int(signal.SIGINT)
    how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    print(f"promise: {how}. No file is half-written; run the same command again.", file=sys.stderr)
    return 128 + number
