"""The little of a line of a log that is needed to know whether an image is still as it was predicted, quickly read.

Almost all lines of logs of millions of images have one form: the image is one file, and it was predicted. Their seal is
checked as that of any line; then the few facts are taken out of the text, and the lines of the table are passed over.
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
from promise_seg.sealed import KEY

_TEXT = rb'"([^"]*)"'  # a text of JSON without quotation marks in it
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
_AT_ONCE = 128  # few, as Python looks through all that is held whenever it tidies up
_NUMBERS_END = 1 << 63
SUFFIXES = tuple(sorted(set(SUFFIX_OF.values())))
"""The endings of the usual names of masks, which follow the stem of the image."""
_KINDS = {suffix.encode(): number for number, suffix in enumerate(SUFFIXES)}


Outline = tuple[bytes, bytes, float, int, int, int]
"""The facts of a line on an image that was predicted, is one file, and has a mask of the usual name: an entry of each
column of :class:`Outlines` but the first, as a tuple without names, which is made more quickly."""


class Outlines(NamedTuple):
    """The outlines of the lines that have one, in columns.

    Args:
        are_there: of each line, whether it has an outline.
        stems: of the images, as bytes.
        keys: their absolute names for the processes that predicted them, as bytes.
        at: when the lines were written, in seconds since 1970.
        sizes: of the files of the images, in bytes.
        changes: when the files were changed, in nanoseconds since 1970.
        suffixes: what follows the stems in the names of masks: the numbers of some of ``SUFFIXES``.
    """

    are_there: NDArray[np.bool_]
    stems: list[bytes]
    keys: list[bytes]
    at: NDArray[np.float64]
    sizes: NDArray[np.int64]
    changes: NDArray[np.int64]
    suffixes: NDArray[np.uint8]


def outlines_of(lines: Sequence[bytes]) -> Outlines:
    """Return the outlines of lines of a log."""
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
    """The whole lines of a range of a log.

    Args:
        outlines: of the lines that have one (N).
        places: how many bytes of the log are before each of these (N).
        others: each other line, with how many bytes are before it.
        end: as of :class:`~promise_seg.prediction.log_ranges.RangeLines`.
    """

    outlines: Outlines
    places: NDArray[np.int64]
    others: list[tuple[int, bytes]]
    end: int


def outlined_lines_in(some: LogRange) -> OutlinedLines:
    """Read the lines of a range of a log, and take out what is needed of them.

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
    """Read the lines of a range of a log whole.

    Raises:
        PromiseError: if the log cannot be read.
    """
    lines, places, end = lines_in(some)
    return OutlinedLines(outlines_of([]), places[:0], list(zip(places.tolist(), lines, strict=True)), end)


def outline_of(line: bytes) -> Outline | None:
    """Return the outline of a line of a log; ``None`` if it has another form, or its content not its hash.

    A quotation mark in a text of JSON follows a backslash, so that the names of entries are found nowhere else.
    """
    head, tail = _match_head(line), _match_tail(line, line.rfind(_END_OF_ROWS))  # from 0 if it is not there
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
