"""When a request is made again, and how long to wait before: back-off that doubles, or what the archive asks for."""

import errno
import random
import re
import socket
import ssl
import urllib.error
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage

from promise_seg.archives.errors import BrokenOffError

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The status codes that may be others a moment later."""
OVERLOADED = frozenset({429, 503})
"""Status codes of an archive that cannot do anything for anyone at present."""
_ANOTHER_PLACE = (socket.gaierror, ConnectionRefusedError, TimeoutError)
_NUMBER = re.compile("[0-9]{1,18}")
_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is made, and how long is waited in between.

    Args:
        tries: how often one request is made at most.
        first_seconds: the pause before the second try; it doubles with each try, give or take a tenth.
        longest_seconds: the longest pause of our own.
        longest_asked_seconds: the longest pause that an archive may ask for.
        answer_seconds: how long the archive may say nothing.
    """

    tries: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    longest_asked_seconds: float = 300.0
    answer_seconds: float = 120.0

    def pause(self, failures: int) -> float:
        """Return how many seconds to wait after so many failures."""
        spread = random.uniform(0.9, 1.1)  # so that many clients do not come back at the same moment
        return min(self.first_seconds * 2 ** (failures - 1), self.longest_seconds) * spread


def asked_pause(headers: HTTPMessage) -> float | None:
    """Return how many seconds an archive asks to wait (``Retry-After``), a number or a date; None if it does not."""
    text = (headers.get("Retry-After") or "").strip()
    if (number := number_in(text)) is not None:
        return float(number)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def number_in(text: str) -> int | None:
    """Return a whole number that an archive writes; None if it is none, or one of more digits than make sense.

    Python takes other characters for digits too, such as raised ones, and refuses thousands of them.
    """
    return int(text) if _NUMBER.fullmatch(text) else None


def cause_of(error: Exception) -> BaseException:
    """Return what is behind an error of ``urllib``."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return reason if isinstance(reason, BaseException) else error


def may_pass(error: Exception, *, was_reached: bool) -> bool:
    """Whether a failed connection may work a moment later.

    Args:
        error: what ``urllib`` raised.
        was_reached: whether the archive answered before: one that never did is at another address rather than away.
    """
    cause = cause_of(error)
    if isinstance(cause, ssl.SSLError):
        return was_reached and not isinstance(cause, ssl.SSLCertVerificationError)
    if isinstance(cause, _ANOTHER_PLACE) or getattr(cause, "errno", None) in _NO_WAY:
        return was_reached
    return isinstance(cause, OSError | HTTPException)


def reason_of(error: Exception) -> str:
    """Return why a connection failed, with the way out where it is known."""
    cause = cause_of(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted: {cause.verify_message or cause}. If it is signed by an authority of the "
            "hospital, set SSL_CERT_FILE to the certificate of that authority (PEM)"
        )
    if isinstance(cause, ssl.SSLError):
        return (
            f"the encrypted connection fails: {cause.reason or cause}. If the archive does not speak TLS, write "
            "dicomweb+http://"
        )
    if isinstance(cause, socket.gaierror):
        return "no computer of this name is known. Check the host in the address"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing answers at this host and port. Check the address, and that the archive runs"
    if isinstance(cause, TimeoutError):
        return "it does not answer in time"
    if isinstance(cause, OSError):
        return cause.strerror or str(cause) or type(cause).__name__
    if isinstance(cause, BrokenOffError):
        return f"the answer broke off: {cause}"
    return f"the connection broke off ({type(cause).__name__})"
