"""Ranges of log files, for several processes to read one log at the same time."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from promise_seg.errors import PromiseError

_BYTES_AT_ONCE = 1 << 18


class LogRange(NamedTuple):
    """The lines of a log that begin in a range of bytes, from ``start`` up to but excluding ``end``."""

    path: Path
    start: int
    end: int


class RangeLines(NamedTuple):
    """The complete lines that begin in a range.

    Args:
        lines: lines with their line breaks (N).
        places: byte offset of each line in the log (N).
        end: byte offset of the end of the last line; 0 if there are no lines.
    """

    lines: list[bytes]
    places: NDArray[np.int64]
    end: int


def ranges_of(path: Path, start: int, most: int) -> list[LogRange]:
    """Divide a log into ranges, after skipping its first bytes.

    Args:
        path: path of the log.
        start: number of bytes to skip.
        most: maximum number of bytes in a range.

    Raises:
        PromiseError: if the log cannot be opened.
    """
    try:
        with path.open("rb") as file:  # network file systems may report an outdated size for a file that is not open
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise _unread(path, error) from error
    return [LogRange(path, begin, min(begin + most, size)) for begin in range(start, size, most)]


def lines_in(some: LogRange) -> RangeLines:
    """Read the lines of a range, except a last line that is still being written.

    Raises:
        PromiseError: if the log cannot be read.
    """
    try:
        with some.path.open("rb", buffering=_BYTES_AT_ONCE) as file:
            begin = some.start
            if begin:  # text before the first line break belongs to a line that begins earlier
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
