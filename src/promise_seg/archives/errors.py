"""Errors of archives: errors of a single study or series, and errors that end all work with the archive."""

from http.client import HTTPException

from promise_seg.errors import PromiseError


def shown(text: str) -> str:
    """Return a text, which may quote an archive, for the terminal: each control character becomes a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


class ArchiveError(PromiseError):
    """An item of the archive cannot be retrieved or stored; the work can continue with others."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class ArchiveStoppedError(ArchiveError):
    """The archive cannot be reached, or rejects the user: no further work with it is possible at present."""


class BrokenOffError(HTTPException):
    """An answer ended early. This is not an ``OSError``, so that it is not mistaken for an error of the disk."""
