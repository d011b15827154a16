import base64
import os
import sys

import pytest

from promise_seg.archives.credentials import Credentials
from promise_seg.errors import SettingsError

_A = "PROMISE_SEG_ARCHIVE_"


@pytest.fixture
def given(monkeypatch):
    def give(**values):
        for name, value in values.items():
            monkeypatch.setenv(_A + name, value)

    return give


def test_nothing_is_sent_without_credentials():
    assert Credentials().header() is None
    assert not Credentials().are_given


def test_a_user_and_a_password(given):
    given(USER="änna", PASSWORD="s3:cret")
    name, code = Credentials().header().split()
    assert (name, base64.b64decode(code).decode()) == ("Basic", "änna:s3:cret")


@pytest.mark.parametrize("token", ["abc.def", "Bearer abc.def", " abc.def\n"])
def test_a_token(given, token):
    given(TOKEN=token)
    assert Credentials().header() == "Bearer abc.def"


def test_credentials_of_one_archive_are_not_those_of_the_other(given):
    given(TOKEN="source", TO_TOKEN="target")
    assert Credentials().header() == "Bearer source"
    assert Credentials(of_target=True).header() == "Bearer target"


def test_a_command_that_prints_a_token_is_run_when_one_is_needed(given, tmp_path):
    count = tmp_path / "count"
    code = f"from pathlib import Path; p = Path({str(count)!r}); p.open('a').write('x'); print(len(p.read_text()))"
    given(TOKEN_COMMAND=f'{sys.executable} -c "{code}"')
    credentials = Credentials()
    assert not count.exists()
    assert credentials.header() == credentials.header() == "Bearer 1"
    credentials.renew("Bearer 0")  # another thread had that one refused, and renewed it
    assert credentials.header() == "Bearer 1"
    credentials.renew("Bearer 1")
    assert credentials.header() == "Bearer 2"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"USER": "anna"}, "ARCHIVE_USER: is set without PROMISE_SEG_ARCHIVE_PASSWORD"),
        ({"PASSWORD": "s3cret"}, "ARCHIVE_PASSWORD: is set without PROMISE_SEG_ARCHIVE_USER"),
        ({"USER": "a:s3cret", "PASSWORD": "s3cret"}, "ARCHIVE_USER: has a colon"),
        ({"USER": "anna", "PASSWORD": "s3cret", "TOKEN": "s3cret"}, "more than one way to log in"),
        ({"TOKEN": "s3cret", "TOKEN_COMMAND": "echo s3cret"}, "more than one way to log in"),
        ({"TOKEN": "s3cret\r\nX-Other: 1"}, "ARCHIVE_TOKEN: is not a token"),
        ({"USER": "anna", "PASSWORD": "s3cret\udcff"}, "PASSWORD: is not text in UTF-8"),
        ({"TOKEN_COMMAND": r"printf 's3cret\377'"}, "TOKEN_COMMAND: is not a token"),
        ({"TOKEN": "s3crét"}, "ARCHIVE_TOKEN: is not a token"),
        ({"TOKEN_COMMAND": "no-such-command s3cret"}, "TOKEN_COMMAND: the command cannot be run: No such file"),
        ({"TOKEN_COMMAND": "sh -c 'echo s3cret; exit 3'"}, "TOKEN_COMMAND: the command failed with exit code 3"),
        ({"TOKEN_COMMAND": "true"}, "TOKEN_COMMAND: is not a token"),
        ({"TOKEN_COMMAND": "echo 's3cret"}, "TOKEN_COMMAND: the command cannot be run: No closing quotation"),
    ],
)
def test_what_is_refused_and_no_secret_is_repeated(given, values, words):
    given(**values)
    with pytest.raises(SettingsError, match=words) as caught:
        Credentials().header()
    assert "s3cret" not in str(caught.value)


def test_a_command_does_not_take_what_is_typed_for_the_program(given, tmp_path):
    (tmp_path / "typed").write_text("typed")
    given(TOKEN_COMMAND="sh -c 'echo token$(cat)'")
    with (tmp_path / "typed").open() as typed:
        kept = os.dup(0)
        os.dup2(typed.fileno(), 0)
        try:
            assert Credentials().header() == "Bearer token"
        finally:
            os.dup2(kept, 0)
            os.close(kept)


def test_no_secret_is_shown_of_it(given):
    given(TOKEN="s3cret")
    assert "s3cret" not in repr(Credentials())
