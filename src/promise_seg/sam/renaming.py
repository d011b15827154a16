"""Convert names of parameters between official files and the ``transformers`` library."""

from collections.abc import Sequence

Renamings = Sequence[tuple[str, str]]
"""Pairs of a part of an official name and its replacement in the library, applied in order (inverted: in reverse)."""


def renamed(official: str, renamings: Renamings) -> str:
    """Return the name in the library for an official name."""
    for old, new in renamings:
        official = official.replace(old, new)
    return official


def renamed_back(name: str, renamings: Renamings) -> str:
    """Return the official name for a name in the library, the inverse of :func:`renamed`."""
    for old, new in reversed(renamings):
        name = name.replace(new, old)
    return name
