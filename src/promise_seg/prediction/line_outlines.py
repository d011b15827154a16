"""Read log lines quickly, extracting only the fields that show whether an image has changed since its prediction.

In logs of millions of images, almost all lines have the same form: the image is one file, and it was predicted. The
seal of such a line is checked as for any other line, then a few fields are extracted and the table rows are skipped.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from promise_seg.prediction.log_ranges import LogRange, lines_in
from promise_seg.prediction.outputs.suffixes import SUFFIX_OF
from promise_seg.prediction.part_files import MASKS
from promise_seg.storage.sealed import KEY

_TEXT = rb'"([^"]*)"'  # a JSON string without quotation marks in it
_SEAL = b'"%s": "' % KEY.encode()
_HEAD = re.compile(
    rb'\{"at": ([0-9.e+]+), %s(.{64})", "image": "[^"]*", "key": %s, "lines": \[\{' % (_SEAL, _TEXT)
    + rb'(?:"[^"]*": "[^"]*", )*?"mask": "%s/([^"]*)"' % MASKS.encode()
)
_END_OF_ROWS = b"}], "
_TAIL = re.compile(rb'\}\], "problem": "", "state": \[\[([0-9]{1,18}), ([0-9]{1,19})\]\], "stem": %s\}\n' % _TEXT)
_match_head, _match_tail = _HEAD.match, _TAIL.fullmatch
_BEFORE_SEAL, _LENGTH_OF_SEAL = len('{"at": , '), len(_SEAL) + 64 + len('", ')
_COLUMNS = 6
_AT_ONCE = 128  # a small number, as Python's garbage collector visits all objects that are held
_NUMBERS_END = 1 << 63
SUFFIXES = tuple(sorted(set(SUFFIX_OF.values())))
"""Suffixes that follow the stem of the image in the usual names of masks."""
_KINDS = {suffix.encode(): number for number, suffix in enumerate(SUFFIXES)}


Outline = tuple[bytes, bytes, float, int, int, int]
"""One value for each column of :class:`Outlines` except the first, from the line of an image that was predicted.

The image is one file, and its mask has the usual name. A plain tuple is faster to create than a named one.
"""


class Outlines(NamedTuple):
    """The outlines of log lines, in columns; lines without an outline are left out of all columns but the first.

    Args:
        are_there: whether each line has an outline.
        stems: stems of the images, as bytes.
        keys: absolute names of the images for the processes that predicted them, as bytes.
        at: times when the lines were written, in seconds since 1970.
        sizes: sizes of the image files in bytes.
        changes: modification times of the image files, in nanoseconds since 1970.
        suffixes: indices in ``SUFFIXES`` of the suffixes of the masks.
    """

    are_there: NDArray[np.bool_]
    stems: list[bytes]
    keys: list[bytes]
    at: NDArray[np.float64]
    sizes: NDArray[np.int64]
    changes: NDArray[np.int64]
    suffixes: NDArray[np.uint8]


def outlines_of(lines: Sequence[bytes]) -> Outlines:
    """Return the outlines of log lines."""
    are_there, columns = list[bool](), tuple[list[Any], ...]([] for _ in range(_COLUMNS))
    for start in range(0, len(lines), _AT_ONCE):
        found = list(map(outline_of, lines[start : start + _AT_ONCE]))
        are_there += [one is not None for one in found]
        for column, part in zip(columns, zip(*filter(None, found), strict=True), strict=False):
            column += part
    stems, keys, at, sizes, changes, suffixes = columns
    return Outlines(
        np.array(are_there, bool), stems, keys, np.array(at, np.float64), np.array(sizes, np.int64),
        np.array(changes, np.int64), np.array(suffixes, np.uint8),
    )  # fmt: skip


class OutlinedLines(NamedTuple):
    """The complete lines of a range of a log.

    Args:
        outlines: outlines of the lines that have one (N).
        places: byte offsets of these lines in the log (N).
        others: byte offset and text of each line without an outline.
        end: see :class:`~promise_seg.prediction.log_ranges.RangeLines`.
    """

    outlines: Outlines
    places: NDArray[np.int64]
    others: list[tuple[int, bytes]]
    end: int


def outlined_lines_in(some: LogRange) -> OutlinedLines:
    """Read the lines of a range of a log, as outlines where possible.

    Raises:
        PromiseError: if the log cannot be read.
    """
    lines, places, end = lines_in(some)
    outlines = outlines_of(lines)
    others = np.flatnonzero(~outlines.are_there).tolist()
    return OutlinedLines(
        outlines, places[outlines.are_there], [(int(places[line]), lines[line]) for line in others], end
    )


def unoutlined_lines_in(some: LogRange) -> OutlinedLines:
    """Read the lines of a range of a log in full, without outlines.

    Raises:
        PromiseError: if the log cannot be read.
    """
    lines, places, end = lines_in(some)
    return OutlinedLines(outlines_of([]), places[:0], list(zip(places.tolist(), lines, strict=True)), end)


def outline_of(line: bytes) -> Outline | None:
    """Return the outline of a log line; ``None`` if the line has another form or does not match its hash.

    Quotation marks within JSON strings are escaped, so the patterns match the keys of entries only.
    """
    head, tail = _match_head(line), _match_tail(line, line.rfind(_END_OF_ROWS))  # -1, if absent, counts as 0
    if head is None or tail is None:
        return None
    (at, seal, key, mask), (size, changed, stem) = head.groups(), tail.groups()
    cut = _BEFORE_SEAL + len(at)
    if sha256(line[:cut] + line[cut + _LENGTH_OF_SEAL : -1]).hexdigest().encode() != seal:
        return None
    suffix, change = _KINDS.get(mask[len(stem) :]), int(changed)
    if suffix is None or not mask.startswith(stem) or b"\\" in key or b"\\" in stem or change >= _NUMBERS_END:
        return None
    try:
        return stem, key, float(at), int(size), change, suffix
    except ValueError:
        return None
