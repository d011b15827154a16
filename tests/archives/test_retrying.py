from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPMessage

import pytest

from promise_seg.archives.retrying import Patience, asked_pause


def asked(value):
    headers = HTTPMessage()
    headers["Retry-After"] = value
    return asked_pause(headers)


def test_pauses_double_up_to_the_longest():
    patience = Patience(first_seconds=1, longest_seconds=10)
    for failures, seconds in enumerate([1, 2, 4, 8, 10, 10], 1):
        assert patience.pause(failures) == pytest.approx(seconds, rel=0.101)


def test_what_an_archive_asks_for():
    assert asked("7") == 7
    assert asked_pause(HTTPMessage()) is None
    assert asked("soon") is asked("-3") is asked("") is None
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert asked(format_datetime(later, usegmt=True)) == pytest.approx(90, abs=30)
    assert asked("Wed, 21 Oct 2015 07:28:00 GMT") == 0
