"""Patterns of paths, whose wildcards determine which mask belongs to which image."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from promise_seg.curation.pairing.scanning import composed
from promise_seg.errors import SettingsError
from promise_seg.images.formats.kinds import SUFFIXES

_TOKEN = re.compile(r"(\.\.\./|\*\*/|\*\*|\*|\?|\{[^{}]*\})")
_FIELD = re.compile(r"\{([A-Za-z]\w*)(:d)?\}")
_WILDCARDS = {"**/": r"((?:[^/]+/)*)", "**": r"(.*)", "*": r"([^/]*?)", "?": r"([^/])"}


@dataclass(frozen=True)
class PathPattern:
    """A case-insensitive pattern of paths below a folder, with slashes.

    ``*`` matches any characters within a name, ``?`` a single one, ``**/`` any folders, and ``.../`` any folders
    without capturing them. ``{word}`` is a named field of at least one character, ``{word:d}`` a named field of digits.
    The text that wildcards and fields match is captured. A pattern without a suffix matches files with any suffix.
    """

    text: str
    expression: re.Pattern[str]
    fields: tuple[str, ...]
    """The names of the captured texts; wildcards are named by their number, from 1."""
    with_suffix: bool

    def captured(self, path: str, stem_path: str) -> Mapping[str, str] | None:
        """Return the captured texts of a path, given with and without suffix; None if it does not match."""
        name = path if self.with_suffix else stem_path
        match = self.expression.fullmatch(name) or self.expression.fullmatch(composed(name))
        return dict(zip(self.fields, match.groups(), strict=True)) if match else None


@lru_cache
def path_pattern(text: str, option: str = "") -> PathPattern:
    """Compile a pattern; ``option`` is the command-line option that it comes from, for messages.

    Raises:
        SettingsError: if it has no wildcards, or an invalid field.
    """
    bare = composed(text).removesuffix(".*")
    expression, fields, wildcards = "", list[str](), 0
    for token in _TOKEN.split(bare.strip().removeprefix("./")):
        field = _FIELD.fullmatch(token)
        if field and field[1] in fields:
            expression += rf"(?:\{fields.index(field[1]) + 1})"
        elif field:
            fields.append(field[1])
            expression += r"(\d+)" if field[2] else r"([^/]+?)"
        elif token in _WILDCARDS:
            wildcards += 1
            fields.append(str(wildcards))
            expression += _WILDCARDS[token]
        elif token == ".../":
            expression += r"(?:[^/]+/)*"
        elif _TOKEN.fullmatch(token):
            raise SettingsError(f"{option} {text}: {token} is not a field; expected a word in braces, such as {{case}}")
        else:
            expression += re.escape(token)
    if not fields:
        raise SettingsError(
            f"{option} {text}: has no wildcards, so it cannot tell one image from another. Expected a pattern such as "
            "'images/*.png' or '{case}/ct.nii.gz'"
        )
    with_suffix = bare == composed(text) and text.lower().endswith(tuple(SUFFIXES))
    return PathPattern(text, re.compile(expression, re.IGNORECASE), tuple(fields), with_suffix)


def plain_numbers(text: str) -> str:
    """Return a name without the leading zeros of its numbers: ``case_1`` for ``case_001``."""
    return re.sub(r"\d+", lambda number: number[0].lstrip("0") or "0", text)
