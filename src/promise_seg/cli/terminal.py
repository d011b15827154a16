"""Standard output and error as they are: any encoding, and perhaps closed before all is said."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import BufferedWriter, RawIOBase, TextIOWrapper
from typing import Any, cast

CLOSED_PIPE = 141
"""The exit code where whoever read the output has closed it, as a shell has it for other programs."""


def prepare() -> None:
    """Let letters that a terminal, file or pipe cannot show be written as their codes, such as ``\\u56fe``.

    By default Python ends with an error there, as on Windows where the output goes to a file.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Output(RawIOBase):
    """Standard output that ends no command where it cannot be written, as on a full disk: it keeps the first error."""

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
    """Let the command go on where standard output cannot be written; return a function that returns the error."""
    stream = sys.stdout
    if not isinstance(stream, TextIOWrapper):
        return lambda: None
    buffer = stream.buffer  # itself raw, if Python was told not to buffer
    output = _Output(cast("RawIOBase", getattr(buffer, "raw", buffer)))
    sys.stdout = TextIOWrapper(
        BufferedWriter(output), stream.encoding, stream.errors, line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )  # fmt: skip
    return lambda: output.error


def shows_unicode() -> bool:
    """Return whether standard error can show any letter."""
    return str(getattr(sys.stderr, "encoding", None) or "").lower().startswith("utf")


def forget_output() -> None:
    """Send what is still to be written to nowhere, after a pipe was closed, so that Python does not complain of it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
