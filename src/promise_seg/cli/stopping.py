"""Signals that stop a command: Ctrl-C, and those sent by a scheduler, a container or a closed terminal."""

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
    """Raised when a signal asks this process to stop."""


def listen() -> None:
    """Make termination signals raise :class:`Stopped`, so files and locks are cleaned up as after Ctrl-C.

    Signals that are ignored, for example under ``nohup``, remain ignored.
    """
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise :class:`Stopped`, unless the signal repeats one of the last two seconds.

    Slurm sends ``SIGTERM`` both to a job and to its step. The second signal, which follows at once, must not interrupt
    the clean-up after the first. Ctrl-C is never ignored.
    """
    global _begun
    del frame
    if _received and number != signal.SIGINT and time.monotonic() - _begun < _AT_ONCE_SECONDS:
        return
    _begun = time.monotonic()
    _received.append(number)
    raise Stopped


def was_stopped() -> bool:
    """Whether a signal asked this process to stop, even if :class:`Stopped` was caught and became another error."""
    return bool(_received)


def was_said() -> bool:
    """Whether :func:`say_stopped` has already reported that the command was stopped."""
    return _said


def was_by_hand() -> bool:
    """Whether this process is stopped by Ctrl-C, the normal way to end a server, and not by another signal."""
    return not _received or _received[-1] == signal.SIGINT


def say_stopped() -> int:
    """Report that the command was stopped, and return the exit code by the convention of shells: 130 for Ctrl-C.

    Further signals are ignored, because the process is about to end. Files that are read ahead are not read any more.
    """
    for name in _NAMES if _received else ():
        if (each := getattr(signal, name, None)) is not None:
            signal.signal(each, signal.SIG_IGN)
    global _said
    _said = True
    number = _received[-1] if _received else int(signal.SIGINT)
    how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    if (overlapping := sys.modules.get("promise_seg.parallel.overlapping")) is not None:  # not imported just for this
        overlapping.cancel_reading()
    print(f"promise: {how}. No file is half-written; run the same command again.", file=sys.stderr)
    return 128 + number
