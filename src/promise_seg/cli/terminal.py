"""Standard output and error as they are: any encoding, and perhaps closed before all is said."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper

CLOSED_PIPE = 141
"""The exit code where whoever read the output has closed it, as a shell has it for other programs."""


def prepare() -> None:
    """Let letters that a terminal, file or pipe cannot show be written as their codes, such as ``\\u56fe``.

    By default Python ends with an error there, as on Windows where the output goes to a file.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def shows_unicode() -> bool:
    """Return whether standard error can show any letter."""
    return str(getattr(sys.stderr, "encoding", None) or "").lower().startswith("utf")


def forget_output() -> None:
    """Send what is still to be written to nowhere, after a pipe was closed, so that Python does not complain of it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
