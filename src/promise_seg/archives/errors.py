"""Errors of archives: of one study or series, and those that end the work with the archive."""

from http.client import HTTPException

from promise_seg.errors import PromiseError


def shown(text: str) -> str:
    """Return a text in which an archive may have a part, for a line on the terminal: without what controls that."""
    return "".join(character if character.isprintable() else "?" for character in text)


class ArchiveError(PromiseError):
    """Something of the archive cannot be had or stored; all else can."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class ArchiveStoppedError(ArchiveError):
    """The archive cannot be reached, or no longer lets this user in: nothing else can be done with it now."""


class BrokenOffError(HTTPException):
    """An answer broke off in the middle. It is not an ``OSError``, so that nobody takes it for one of the disk."""
