"""Notes on what was read otherwise than a file says, as lines."""

from collections.abc import Iterable
from pathlib import Path

_EXAMPLES = 4
NO_PLACE = "no place in space, as they are not finite or span no volume, and its slices are taken as stored"
"""The words for geometry that is none: what it is and what is done."""


def in_words(path: Path, notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes on one file, or on the files of a series, as at most one line that begins with its path."""
    different = list(dict.fromkeys(notes))
    if not different:
        return ()
    more = f"; and {len(different) - _EXAMPLES} more" if len(different) > _EXAMPLES else ""
    return (f"{path}: {'; '.join(different[:_EXAMPLES])}{more}",)
