"""Notes, as lines of text, on values that were not read as the file states them."""

from collections.abc import Iterable
from pathlib import Path

_EXAMPLES = 4
NO_PLACE = "not a position in space, because they are not finite or span no volume; its slices are used as stored"
"""The end of a note on invalid geometry: what is wrong, and how the file is read."""


def in_words(path: Path, notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes on one file, or on the files of a series, as at most one line that begins with its path."""
    different = list(dict.fromkeys(notes))
    if not different:
        return ()
    more = f"; and {len(different) - _EXAMPLES} more" if len(different) > _EXAMPLES else ""
    return (f"{path}: {'; '.join(different[:_EXAMPLES])}{more}",)
