"""Read annotation files, with the same size limits as for images."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promise_seg.errors import ImageError
from promise_seg.images.formats.limits import max_values, too_large

_FEW_BYTES = 10_000_000
_START_BYTES = 4096
_SHOWN = 6


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Return the content of a file.

    Raises:
        ImageError: if it cannot be read, or has more than ``most`` bytes, by default the maximum number of values of an
            image.
    """
    limit = max_values() if most is None else min(most, max_values())
    try:
        if path.stat().st_size > limit:
            raise too_large(path, f"{path.stat().st_size:,}")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error


def read_lines(path: Path) -> list[str]:
    """Return the non-empty lines of a text file of at most 10 MB, without surrounding spaces.

    Raises:
        ImageError: if it cannot be read, is too large, or is not text in UTF-8.
    """
    return [line.strip() for line in text_of(path, read_bytes(path, _FEW_BYTES)).splitlines() if line.strip()]


def beginning_of(path: Path) -> str:
    """Return the first 4 kB of a file as text; bytes that are not UTF-8 are replaced.

    Raises:
        ImageError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_START_BYTES).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error


def text_of(path: Path, content: bytes) -> str:
    """Decode the content of a file as UTF-8, with or without a byte order mark.

    Raises:
        ImageError: if it is not valid UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ImageError(f"{path}: not text in UTF-8. Save it again with this encoding") from None


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        ImageError: if it cannot be read, is too large, or is not JSON.
    """
    try:
        return json.loads(text_of(path, read_bytes(path)))
    except json.JSONDecodeError as error:
        raise ImageError(f"{path}:{error.lineno}: not valid JSON: {error.msg}. Export it again") from None
    except (ValueError, RecursionError):
        raise ImageError(f"{path}: not valid JSON: it is nested too deeply, or a number is too long") from None


def listed(value: Any) -> list[Any]:
    """Return the items of a list, or the values of a mapping; an empty list for any other value."""
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def words_for(value: Any, depth: int = 0) -> str:
    """Return a description of a JSON value, for the message that its format is not known."""
    if isinstance(value, Mapping):
        names = ", ".join(map(str, list(value)[:_SHOWN]))
        return f"an object with the keys {names}{' ...' * (len(value) > _SHOWN)}" if names else "an empty object"
    if isinstance(value, list):
        if not value or depth:
            return "a list" if value else "an empty list"
        return f"a list of {len(value)}, first {words_for(value[0], depth + 1)}"
    return "a single value"
