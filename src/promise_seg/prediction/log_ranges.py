"""Ranges of logs, so that several processes may read one log at the same time."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from promise_seg.errors import PromiseError

_BYTES_AT_ONCE = 1 << 18


class LogRange(NamedTuple):
    """The lines of a log that begin in a range of bytes, from ``start`` to before ``end``."""

    path: Path
    start: int
    end: int


class RangeLines(NamedTuple):
    """The whole lines that begin in a range.

    Args:
        lines: with their line breaks (N).
        places: how many bytes of the log are before each line (N).
        end: how many bytes of the log are before the end of the last of them; 0 if there are none.
    """

    lines: list[bytes]
    places: NDArray[np.int64]
    end: int


def ranges_of(path: Path, start: int, most: int) -> list[LogRange]:
    """Return the ranges that a log has behind its first bytes.

    Args:
        path: of the log.
        start: how many bytes are left out.
        most: how many bytes are in a range.

    Raises:
        PromiseError: if the system cannot tell how large the log is.
    """
    try:
        with path.open("rb") as file:  # opened, as a network file system may tell an old size of a file that is not
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise _unread(path, error) from error
    return [LogRange(path, begin, min(begin + most, size)) for begin in range(start, size, most)]


def lines_in(some: LogRange) -> RangeLines:
    """Read the lines of a range but for one that has no end yet, as it is being written.

    Raises:
        PromiseError: if the log cannot be read.
    """
    try:
        with some.path.open("rb", buffering=_BYTES_AT_ONCE) as file:
            begin = some.start
            if begin:  # what is before the first line break belongs to a line that begins earlier
                file.seek(begin - 1)
                begin += len(file.readline()) - 1
            wanted = some.end - begin
            lines = file.readlines(wanted - 1) if wanted > 1 else [file.readline()] if wanted == 1 else []
    except OSError as error:
        raise _unread(some.path, error) from error
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    ends = begin + np.cumsum([0, *map(len, lines)])
    return RangeLines(lines, ends[:-1], int(ends[-1]) if lines else 0)


def _unread(path: Path, error: OSError) -> PromiseError:
    return PromiseError(f"{path}: cannot be read: {error.strerror}")
