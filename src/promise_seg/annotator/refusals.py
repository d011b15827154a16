"""Refusals: the answers to requests that the server does not carry out."""

from collections.abc import Mapping, Sequence
from typing import Any

from promise_seg.validation import words_of


class Refusal(Exception):
    """Raised for a request that is not carried out, with the answer to the client.

    Args:
        status: the HTTP status.
        code: the code for programs, see docs/annotator-api.md.
        message: a sentence for the user, with the way out.
        more: further entries of the response.
    """

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more
        self.message = message.encode("utf-8", "backslashreplace").decode()  # a client may have sent lone surrogates

    def as_json(self) -> dict[str, Any]:
        """Return the body of the response as JSON."""
        return {"error": {"code": self.code, "message": self.message, **self.more}}


def unknown(what: str) -> Refusal:
    """Return the refusal of a request for something that does not exist."""
    return Refusal(404, "unknown", f"{what} does not exist. Reload the page")


def failed() -> Refusal:
    """Return the refusal of a request that failed because of an error in the program."""
    words = "Something unusual happened; the server's terminal shows it. Nothing that was saved is lost"
    return Refusal(500, "failed", words)


def invalid(field: str, message: str) -> Refusal:
    """Return the refusal of an invalid value of a field."""
    return Refusal(422, "invalid", f"{field}: {message}")


def invalid_part(fault: Mapping[str, Any], place: Sequence[int | str], whole: str) -> Refusal:
    """Return the refusal of an invalid part of a request.

    Args:
        fault: an entry of pydantic's ``ValidationError.errors()``.
        place: the names and numbers that lead to the part; empty for the request as a whole.
        whole: the name of the request as a whole.
    """
    return invalid(".".join(map(str, place))[:200] or whole, words_of(fault))
