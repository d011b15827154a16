"""The names of users."""

import unicodedata

from promise_seg.annotator.bodies import LONGEST_NAME
from promise_seg.errors import SettingsError

_NOT_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""The Unicode categories of control characters, surrogates (bytes that are not UTF-8), and line separators."""


def check_user(name: str) -> None:
    """Check that the name of a user can be stored and shown.

    Raises:
        SettingsError: if it is empty, consists of spaces, is too long, or contains characters that are not text.
    """
    if not name.strip():
        raise SettingsError(f"--user: is {name!r}; expected a name with at least one letter or digit")
    if len(name) > LONGEST_NAME:
        raise SettingsError(f"--user: has {len(name)} characters; expected at most {LONGEST_NAME}. Give a shorter name")
    if odd := next((one for one in name if unicodedata.category(one) in _NOT_TEXT), None):
        raise SettingsError(
            f"--user: contains {odd!r}; expected one line of text. Give a name without control characters"
        )
