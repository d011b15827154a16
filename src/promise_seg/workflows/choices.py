"""Words of the vocabulary, as Python users write them."""

from enum import StrEnum
from typing import TypeVar

from promise_seg.errors import SettingsError

Words = TypeVar("Words", bound=StrEnum)


def chosen(vocabulary: type[Words], word: str, option: str) -> Words:
    """Return the member of an enum that a user names.

    Args:
        vocabulary: the enum with the possible choices.
        word: the word that the user gave.
        option: the name of the option on the command line, for the message.

    Raises:
        SettingsError: if the word is not in the vocabulary.
    """
    try:
        return vocabulary(word)
    except ValueError:
        raise SettingsError(f"{option} {word}: expected {', '.join(vocabulary)}") from None
