"""Objects are put whole; a server that is away for a while is asked again; what cannot be meant is refused."""

import fsspec
import pytest

from promise_seg.errors import PromiseError, SettingsError
from promise_seg.storage import object_stores
from promise_seg.storage.object_stores import ObjectFolder, is_address


@pytest.fixture
def folder(request):
    pauses = []
    found = ObjectFolder(f"memory://{request.node.originalname}/prefix/", "--store", pause=pauses.append)
    found.pauses = pauses
    return found


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("s3://bucket/x", True), ("s3:/bucket/x", True), ("memory://x", True), ("folder/x", False), ("/a:b", False),
     ("s3://", True), ("gs:", True), ("s3:x", False), (None, False)],
)  # fmt: skip
def test_addresses_are_told_from_folders(text, is_one):
    assert is_address(text) == is_one


def test_objects_are_written_and_read(folder):
    assert folder.read("a/x") is None
    assert folder.write("a/x", b"0123456789")
    assert folder.read("a/x") == b"0123456789"
    assert folder.read("a/x", 4) == b"0123"
    assert not folder.write("a/x", b"other", only_new=True)
    assert folder.read("a/x") == b"0123456789"
    assert folder.write("a/x", b"other")
    assert folder.read("a/x") == b"other"
    folder.check("marker", b"here")
    folder.check("marker", b"there")
    assert folder.read("marker") == b"here"
    assert folder.pauses == []


@pytest.mark.parametrize(
    ("address", "words"),
    [("s3:/bucket", r"expected an address such as s3://BUCKET/PREFIX"),
     ("s3://", r"expected an address such as s3://BUCKET/PREFIX"),
     ("ftp://host/x", "expected an address that begins with s3:// or gs://, or a folder"),
     ("https://host/x", "nothing can be written to a web server"),
     ("s3://key:secret@bucket/x", "contains credentials or options"),
     ("s3://key:sec/ret@bucket/x", "contains credentials or options"),
     ("s3:/key:secret@bucket/x", "contains credentials or options"),
     ("s3://key:secret/x", "contains credentials or options"),
     ("s3://bucket/x?secret=1", "contains credentials or options")],
)  # fmt: skip
def test_addresses_that_cannot_be_meant(address, words):
    with pytest.raises(SettingsError, match=words) as refused:
        ObjectFolder(address, "--store")
    assert "secret" not in str(refused.value)


def test_a_package_that_is_missing_is_named(monkeypatch):
    def filesystem(kind, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", filesystem)
    with pytest.raises(SettingsError, match=r"needs the Python package s3fs, .* pip install 'promise-seg\[s3\]'"):
        ObjectFolder("s3://bucket", "--store")
    with pytest.raises(SettingsError, match=r"needs the Python package aiohttp, .* pip install 'promise-seg\[https\]'"):
        ObjectFolder("https://host", "", is_read=True)


def test_a_server_that_is_away_for_a_while_is_asked_again(folder, monkeypatch):
    system, tries = folder._system, []
    put = system.pipe_file

    def lost(path, *arguments, **more):
        tries.append(path)
        if len(tries) < 4:
            raise ConnectionError("connection reset by peer")
        return put(path, *arguments, **more)

    monkeypatch.setattr(system, "pipe_file", lost)
    assert folder.write("x", b"content")
    assert folder.read("x") == b"content"
    assert len(folder.pauses) == 3
    assert folder.pauses[0] < folder.pauses[1] < folder.pauses[2] * 2


def failing(error):
    def call(*arguments, **more):
        raise error

    return call


class NoCredentialsError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "words", "tries"),
    [(ConnectionError("reset"), "the server did not answer in 9 attempts: reset. Check the connection", 9),
     (PermissionError("Access Denied"), "access was denied: Access Denied. Set credentials", 1),
     (FileNotFoundError("no such bucket"), "the bucket test_what_stays_lost", 1),
     (NoCredentialsError("Unable to locate credentials"), "found no credentials in the environment", 1)],
)  # fmt: skip
def test_what_stays_lost_is_said_in_one_line(error, words, tries, folder, monkeypatch):
    monkeypatch.setattr(folder._system, "pipe_file", failing(error))
    with pytest.raises(PromiseError) as said:
        folder.write("x", b"content")
    assert words in str(said.value)
    assert "\n" not in str(said.value)
    assert len(folder.pauses) == tries - 1


def of_server(status, code):
    """An answer of S3 as s3fs raises it."""
    error = OSError(5, code)
    error.__cause__ = Exception()
    error.__cause__.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return error


def of_botocore(name, **facts):
    return getattr(pytest.importorskip("botocore.exceptions"), name)(**facts)


@pytest.mark.parametrize(
    ("error", "tries"),
    [(lambda: of_botocore("ProfileNotFound", profile="nobody"), 1),
     (lambda: of_botocore("ParamValidationError", report="Invalid bucket name"), 1),
     (lambda: of_botocore("EndpointConnectionError", endpoint_url="http://x"), 9),
     (lambda: of_botocore("ReadTimeoutError", endpoint_url="http://x"), 9),
     (lambda: of_server(400, "InvalidArgument"), 1),
     (lambda: of_server(400, "RequestTimeout"), 9),
     (lambda: of_server(429, "TooManyRequests"), 9),
     (lambda: of_server(503, "SlowDown"), 9)],
)  # fmt: skip
def test_what_would_fail_again_is_not_tried_again(error, tries, folder, monkeypatch):
    monkeypatch.setattr(folder._system, "pipe_file", failing(error()))
    with pytest.raises(PromiseError, match="cannot be used: " if tries == 1 else "not answer in 9 attempts") as said:
        folder.write("x", b"content")
    assert "\n" not in str(said.value)
    assert "Parameter validation failed: Invalid" in str(said.value) or "ParamValid" not in type(error()).__name__
    assert len(folder.pauses) == tries - 1


def test_objects_that_no_request_can_put_are_refused(folder, monkeypatch):
    monkeypatch.setattr(object_stores, "_MOST_BYTES_AT_ONCE", 3)
    with pytest.raises(PromiseError, match="has 4 bytes; expected at most"):
        folder.write("x", b"1234")
