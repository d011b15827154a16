"""When to repeat a request, and how long to wait before: exponential back-off, or the pause the archive asks for."""

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
"""Status codes of temporary failures, which are worth another try."""
OVERLOADED = frozenset({429, 503})
"""Status codes of an archive that cannot serve any request at present."""
_ANOTHER_PLACE = (socket.gaierror, ConnectionRefusedError, TimeoutError)
_NUMBER = re.compile("[0-9]{1,18}")
_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})


@dataclass(frozen=True)
class RetryPolicy:
    """The number of tries of a request, and the pauses between them.

    Args:
        tries: maximum number of tries.
        first_seconds: pause before the second try; it doubles with each further try, and varies by 10 % at random.
        longest_seconds: longest pause, before the random variation, unless the archive asks for another.
        longest_asked_seconds: longest pause that an archive may ask for.
        answer_seconds: timeout for an answer of the archive.
    """

    tries: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    longest_asked_seconds: float = 300.0
    answer_seconds: float = 120.0

    def pause(self, failures: int) -> float:
        """Return the number of seconds to wait after this number of failures, from 1."""
        spread = random.uniform(0.9, 1.1)  # so that many clients do not return at the same moment
        return min(self.first_seconds * 2 ** (failures - 1), self.longest_seconds) * spread


def asked_pause(headers: HTTPMessage) -> float | None:
    """Return the pause in seconds that an archive asks for in ``Retry-After`` (a number or a date), or None."""
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
    """Return the whole number in a text from an archive; None if it is not one, or has more than 18 digits.

    ``int`` also accepts digits of other scripts, and raises an error for thousands of digits.
    """
    return int(text) if _NUMBER.fullmatch(text) else None


def cause_of(error: Exception) -> BaseException:
    """Return the underlying cause of an error raised by ``urllib``."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return reason if isinstance(reason, BaseException) else error


def may_pass(error: Exception, *, was_reached: bool) -> bool:
    """Whether a connection that failed may succeed a moment later.

    Args:
        error: the error that ``urllib`` raised.
        was_reached: whether the archive answered before; if it never did, the address is probably wrong.
    """
    cause = cause_of(error)
    if isinstance(cause, ssl.SSLError):
        return was_reached and not isinstance(cause, ssl.SSLCertVerificationError)
    if isinstance(cause, _ANOTHER_PLACE) or getattr(cause, "errno", None) in _NO_WAY:
        return was_reached
    return isinstance(cause, OSError | HTTPException)


def reason_of(error: Exception) -> str:
    """Return the reason why a connection failed, with a remedy if one is known."""
    cause = cause_of(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its certificate cannot be verified: {cause.verify_message or cause}. If it is signed by a certificate "
            "authority of the hospital, set SSL_CERT_FILE to the certificate of that authority (PEM)"
        )
    if isinstance(cause, ssl.SSLError):
        return (
            f"the encrypted connection failed: {cause.reason or cause}. If the archive does not speak TLS, write "
            "dicomweb+http://"
        )
    if isinstance(cause, socket.gaierror):
        return "the host name cannot be resolved. Check the host in the address"
    if isinstance(cause, ConnectionRefusedError):
        return (
            "the connection was refused: nothing listens at this host and port. Check the address, and that the "
            "archive runs"
        )
    if isinstance(cause, TimeoutError):
        return "the archive did not answer in time"
    if isinstance(cause, OSError):
        return cause.strerror or str(cause) or type(cause).__name__
    if isinstance(cause, BrokenOffError):
        return f"the answer ended early: {cause}"
    return f"the connection was interrupted ({type(cause).__name__})"
