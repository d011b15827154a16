"""The little of a line of a log that is needed to know whether an image is still as it was predicted, quickly read.

Almost all lines of logs of millions of images have one form: the image is one file, and it was predicted. Their seal is
checked as that of any line; then the few facts are taken out of the text, and the lines of the table are passed over.
"""

import hashlib
import re
from typing import NamedTuple

from promise_seg.prediction.outputs.formats import WRITERS
from promise_seg.prediction.part_files import MASKS
from promise_seg.sealed import KEY

_PLAIN = rb'"([^"\\]*)"'  # a text of JSON in which nothing is escaped
_SEAL = b'"%s": "' % KEY.encode()
_HEAD = re.compile(
    rb'\{"at": ([0-9.e+]+), %s([0-9a-f]{64})", "image": "[^"\\]*", "key": %s, "lines": \[\{' % (_SEAL, _PLAIN)
)
_MASK = b'"mask": "'
_TAIL_BEGINS = b'}], "problem": "", "state": [['
_TAIL = re.compile(rb'%s([0-9]{1,19}), ([0-9]{1,19})\]\], "stem": %s\}\n' % (re.escape(_TAIL_BEGINS), _PLAIN))
_AFTER_SEAL = len('", ')
_MASKS = MASKS.encode()
_NUMBERS_END = 1 << 63
_SUFFIXES = frozenset(writer.suffix for writer in WRITERS.values())


class Outline(NamedTuple):
    """The facts of a line on an image that was predicted, is one file, and has a mask of the usual name.

    Args:
        stem: of the image.
        key: its absolute name for the process that predicted it.
        at: when the line was written, in seconds since 1970.
        size: of the image's file, in bytes.
        changed: when the file was changed, in nanoseconds since 1970.
        suffix: what follows the stem in the name of the mask.
    """

    stem: str
    key: str
    at: float
    size: int
    changed: int
    suffix: str

    @property
    def problem(self) -> str:
        """None, as the image was predicted."""
        return ""


def outline_of(line: bytes) -> Outline | None:
    """Return the outline of a line of a log; ``None`` if it has another form, or its content not its hash.

    A quotation mark in a text of JSON follows a backslash, so that the names of entries are found nowhere else.
    """
    head, end = _HEAD.match(line), line.rfind(_TAIL_BEGINS)
    if head is None or end < 0:
        return None
    tail, mask = _TAIL.fullmatch(line, end), line.find(_MASK, head.end(), end)
    if tail is None or mask < 0:
        return None
    at, seal, key = head.groups()
    content = line[: head.start(2) - len(_SEAL)] + line[head.end(2) + _AFTER_SEAL : -1]
    if hashlib.sha256(content).hexdigest().encode() != seal:
        return None
    size, changed, stem = tail.groups()
    usual = b"%s%s/%s" % (_MASK, _MASKS, stem)
    if not line.startswith(usual, mask):
        return None
    begin = mask + len(usual)
    try:
        suffix = line[begin : line.index(b'"', begin)].decode()
        found = Outline(stem.decode(), key.decode(), float(at), int(size), int(changed), suffix)
    except ValueError:
        return None
    return found if suffix in _SUFFIXES and max(found.size, found.changed) < _NUMBERS_END else None
