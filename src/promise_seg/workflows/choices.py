"""Words of the vocabulary as Python users give them."""

from enum import StrEnum
from typing import TypeVar

from promise_seg.errors import SettingsError

Words = TypeVar("Words", bound=StrEnum)


def chosen(vocabulary: type[Words], word: str, option: str) -> Words:
    """Return the member of an enum that a user names.

    Args:
        vocabulary: what can be chosen.
        word: what was.
        option: its name on the command line, for the message.

    Raises:
        SettingsError: if there is no such word.
    """
    try:
        return vocabulary(word)
    except ValueError:
        raise SettingsError(f"{option} {word}: expected {', '.join(vocabulary)}") from None
