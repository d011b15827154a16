"""Make standard output and error robust: any encoding, closed pipes and full disks."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import BufferedWriter, RawIOBase, TextIOWrapper
from typing import Any, cast

CLOSED_PIPE = 141
"""The exit code if the reader of the output has closed the pipe, the same as shells report for ``SIGPIPE``."""


def prepare() -> None:
    """Write characters that a terminal, file or pipe cannot encode as escape sequences, such as ``\\u56fe``.

    By default Python raises an error for them, for example on Windows if the output goes to a file.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Output(RawIOBase):
    """Standard output that ignores write errors, such as a full disk, and keeps the first one; a broken pipe raises."""

    def __init__(self, raw: RawIOBase) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        try:
            return self._raw.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.error = self.error or error
            return len(data)

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


def keep_going_without_output() -> Callable[[], OSError | None]:
    """Let the command continue if standard output cannot be written; return a function that returns the error.

    The function returns the first error, or ``None`` if everything was written.
    """
    stream = sys.stdout
    if not isinstance(stream, TextIOWrapper):
        return lambda: None
    buffer = stream.buffer  # is itself the raw stream if Python runs unbuffered
    output = _Output(cast("RawIOBase", getattr(buffer, "raw", buffer)))
    sys.stdout = TextIOWrapper(
        BufferedWriter(output), stream.encoding, stream.errors, line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )  # fmt: skip
    return lambda: output.error


def shows_unicode() -> bool:
    """Whether standard error has a Unicode encoding and can show any character."""
    return str(getattr(sys.stderr, "encoding", None) or "").lower().startswith("utf")


def forget_output() -> None:
    """Discard buffered output after the pipe was closed, so Python does not report an error at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
