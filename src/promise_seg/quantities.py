"""Sizes, durations and counts as readable text, and sizes in bytes from text."""

import math
import re

from promise_seg.errors import SettingsError

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_MOST_BYTES = 1e18
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)\s*", re.IGNORECASE)


def bytes_in_words(count: float) -> str:
    """Return a size as text, such as ``2.1 MB``."""
    unit = next((unit for unit, size in reversed(_UNITS.items()) if count >= size), "B")
    value = count / _UNITS[unit]
    return f"{value:.1f} {unit}" if value < 100 and unit != "B" else f"{value:.0f} {unit}"


def bytes_of_words(words: str, option: str) -> int:
    """Return the number of bytes of a size such as ``20GB``.

    Raises:
        SettingsError: if the text is not a size, or too large a size; the message names the option.
    """
    found = _SIZE.fullmatch(words)
    count = math.inf if found is None else float(found[1]) * _UNITS[found[2].upper()]
    if not count <= _MOST_BYTES:
        raise SettingsError(f"{option} {words}: expected a size with its unit, such as 500MB or 20GB")
    return round(count)


def seconds_in_words(seconds: float) -> str:
    """Return a duration as text, such as ``1.3 s``, ``4 min`` or ``5 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def count_in_words(count: int, thing: str) -> str:
    """Return a count with its noun: ``1 line``, ``2,000 lines``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def images_in_words(count: int, split: str) -> str:
    """Return a number of images with their split: ``1 test image``; for the split ``all`` without it: ``1 image``."""
    return count_in_words(count, "image" if split == "all" else f"{split} image")
