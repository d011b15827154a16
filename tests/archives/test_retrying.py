import errno
import socket
import ssl
import urllib.error
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPMessage, RemoteDisconnected

import pytest

from promise_seg.archives.errors import BrokenOffError
from promise_seg.archives.retrying import RetryPolicy, asked_pause, may_pass


def asked(value):
    headers = HTTPMessage()
    headers["Retry-After"] = value
    return asked_pause(headers)


def test_pauses_double_up_to_the_longest():
    policy = RetryPolicy(first_seconds=1, longest_seconds=10)
    for failures, seconds in enumerate([1, 2, 4, 8, 10, 10], 1):
        assert policy.pause(failures) == pytest.approx(seconds, rel=0.101)


@pytest.mark.parametrize(
    ("error", "new", "known"),
    [
        (TimeoutError(), False, True),
        (ConnectionRefusedError(), False, True),
        (socket.gaierror(-2, "Name or service not known"), False, True),
        (OSError(errno.EHOSTUNREACH, "No route to host"), False, True),
        (ConnectionResetError(), True, True),
        (RemoteDisconnected(), True, True),
        (BrokenOffError(), True, True),
        (ssl.SSLCertVerificationError(), False, False),
        (ssl.SSLError(), False, True),
    ],
)
def test_an_archive_that_never_answered_is_taken_for_a_wrong_address(error, new, known):
    for wrapped in (error, urllib.error.URLError(error)):
        assert may_pass(wrapped, was_reached=False) is new
        assert may_pass(wrapped, was_reached=True) is known


def test_what_an_archive_asks_for():
    assert asked("7") == 7
    assert asked_pause(HTTPMessage()) is None
    assert asked("9" * 5000) is asked("²") is asked("Wed, 21 Oct 99999999999999999999 07:28:00 GMT") is None
    assert asked("soon") is asked("-3") is asked("") is None
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert asked(format_datetime(later, usegmt=True)) == pytest.approx(90, abs=30)
    assert asked("Wed, 21 Oct 2015 07:28:00 GMT") == 0
