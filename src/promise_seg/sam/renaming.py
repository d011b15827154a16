"""Names of parameters in official files, and in the ``transformers`` library."""

from collections.abc import Sequence

Renamings = Sequence[tuple[str, str]]
"""Parts of official names and what the library has for them: applied one after the other, forwards or backwards."""


def renamed(official: str, renamings: Renamings) -> str:
    """Return the name in the library of an official name."""
    for old, new in renamings:
        official = official.replace(old, new)
    return official


def renamed_back(name: str, renamings: Renamings) -> str:
    """Return the official name of a name in the library, the inverse of :func:`renamed`."""
    for old, new in reversed(renamings):
        name = name.replace(new, old)
    return name
