"""JSON files with the hash of their content, so that damage, even of a single bit, is noticed.

Files without a hash are read without a check: those of earlier versions, and those that users edited by hand.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from promise_seg.storage.files import object_of, read_json_lines, read_json_object, write_json

KEY = "content_sha256"
_CHANGED = (
    "its content was changed after it was written (its SHA-256 differs); if that was on purpose, remove its entry "
    f"{KEY}"
)


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with the hash of its content added."""
    return value | {KEY: _sha256(value)}


def opened(value: dict[str, Any]) -> dict[str, Any]:
    """Return the object that :func:`sealed` was given; an object without a hash is returned unchanged.

    Raises:
        ValueError: if the content does not match its hash.
    """
    content = {name: one for name, one in value.items() if name != KEY}
    if KEY in value and value[KEY] != _sha256(content):
        raise ValueError(_CHANGED)
    return content


def write_sealed(path: str | Path, value: dict[str, Any]) -> None:
    """Write a JSON object with the hash of its content, completely or not at all.

    Raises:
        PromiseError: if the file cannot be written.
    """
    write_json(path, sealed(value))


def read_sealed(path: str | Path) -> dict[str, Any]:
    """Read an object that :func:`write_sealed` wrote, or an object without a hash.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file does not contain a JSON object, or its content does not match its hash.
    """
    return opened(read_json_object(path))


def sealed_line(value: dict[str, Any], *, sort_keys: bool = False) -> str:
    """Return a line of a log: a JSON object with the hash of its content."""
    return json.dumps(sealed(value), sort_keys=sort_keys, allow_nan=False) + "\n"


def opened_line(line: bytes) -> dict[str, Any]:
    """Return the object that :func:`sealed_line` was given; faster than :func:`opened` if its entries are sorted.

    Raises:
        ValueError: if the line is not a JSON object, or its content does not match its hash.
    """
    value = object_of(line)
    found = value.get(KEY)
    if isinstance(found, str):
        content = line.rstrip().replace(f'"{KEY}": "{found}", '.encode(), b"", 1)
        if hashlib.sha256(content).hexdigest() == found:
            del value[KEY]
            return value
    return opened(value)


def read_sealed_lines(path: str | Path) -> list[dict[str, Any]]:
    """Read a file of lines that :func:`sealed_line` made, or of objects without a hash; empty lines are skipped.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if a line is not a JSON object, or does not match its hash; the message begins with its number.
    """
    return read_json_lines(path, opened)


def _sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
