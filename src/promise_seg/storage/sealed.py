"""JSON of ours that holds the hash of its content, so that a flipped bit in it is noticed.

Files without the hash, of earlier versions and of people who took it out to change them, are read as they are.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from promise_seg.storage.files import object_of, read_json_lines, read_json_object, write_json

KEY = "content_sha256"
_CHANGED = (
    "its content is not what was written (its SHA-256 is another); if it was changed on purpose, remove its entry "
    f"{KEY}"
)


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object of JSON with the hash of its content."""
    return value | {KEY: _sha256(value)}


def opened(value: dict[str, Any]) -> dict[str, Any]:
    """Return what :func:`sealed` was given; an object without a hash as it is.

    Raises:
        ValueError: if the content does not have its hash.
    """
    content = {name: one for name, one in value.items() if name != KEY}
    if KEY in value and value[KEY] != _sha256(content):
        raise ValueError(_CHANGED)
    return content


def write_sealed(path: str | Path, value: dict[str, Any]) -> None:
    """Write an object of JSON with the hash of its content, whole or not at all.

    Raises:
        PromiseError: if it cannot be written.
    """
    write_json(path, sealed(value))


def read_sealed(path: str | Path) -> dict[str, Any]:
    """Read what :func:`write_sealed` wrote, or an object without a hash.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is something else, or its content does not have its hash.
    """
    return opened(read_json_object(path))


def sealed_line(value: dict[str, Any], *, sort_keys: bool = False) -> str:
    """Return a line of a log: an object of JSON with the hash of its content."""
    return json.dumps(sealed(value), sort_keys=sort_keys, allow_nan=False) + "\n"


def opened_line(line: bytes) -> dict[str, Any]:
    """Return what :func:`sealed_line` was given; quicker than :func:`opened` if its entries are in order of name.

    Raises:
        ValueError: if the line is something else, or its content does not have its hash.
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
    """Read a file of lines that :func:`sealed_line` made, or of objects without a hash; empty lines do not count.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if a line is something else, or does not have its hash, with its number.
    """
    return read_json_lines(path, opened)


def _sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
