import pytest

from promise_seg.archives.connection import ArchiveRequest
from promise_seg.archives.dicom_json import DICOM_JSON, items_of
from promise_seg.archives.errors import ArchiveStoppedError
from promise_seg.archives.redirecting import redirected
from tests.archives.serving import Said, in_turn, json_answer

STUDIES = ArchiveRequest("/studies", DICOM_JSON, {"limit": 5})


def ask(connection):
    return connection.exchange(STUDIES, items_of)


def test_credentials_go_to_no_other_host(serve, connect, monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "s3cret")
    other = serve(in_turn(json_answer()))
    server = serve(in_turn(Said(302, headers={"Location": f"http://127.0.0.1:{other.port}/studies"})))
    with pytest.raises(ArchiveStoppedError, match=r"redirects to a different server, http://127.0.0.1:\d+"):
        ask(connect(server.address()))
    assert other.asked == []


def test_a_redirection_within_the_archive_is_followed_with_credentials(serve, connect, monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "s3cret")
    server = serve(
        lambda asked: json_answer() if asked.path == "/new/studies" else Said(307, headers={"Location": "/new/studies"})
    )
    assert ask(connect(server.address())) == []
    assert [one.headers["Authorization"] for one in server.asked] == ["Bearer s3cret"] * 2
    endless = serve(in_turn(Said(301, headers={"Location": "/again"})))
    with pytest.raises(ArchiveStoppedError, match="redirects more than"):
        ask(connect(endless.address()))


@pytest.mark.parametrize(("status", "method"), [(303, "GET"), (307, "POST")])
def test_what_was_sent_is_sent_on_unless_the_answer_is_elsewhere(serve, connect, status, method):
    server = serve(in_turn(Said(status, headers={"Location": "/stored"}), json_answer()))
    request = ArchiveRequest("/studies", DICOM_JSON, body=b"file", content_type="application/dicom")
    assert connect(server.address()).exchange(request, items_of) == []
    assert [(one.method, one.path) for one in server.asked] == [("POST", "/dicom-web/studies"), (method, "/stored")]
    assert server.asked[1].body == (b"file" if method == "POST" else b"")


@pytest.mark.parametrize("location", ["http://[bad", "/stüdies", "http://h:port/d", "http://anna:s3cret@127.0.0.1/d"])
def test_an_address_that_cannot_be_read(serve, connect, location):
    server = serve(in_turn(Said(302, headers={"Location": location})))
    with pytest.raises(ArchiveStoppedError, match="/dicom-web: redirects to an invalid address") as caught:
        ask(connect(server.address()))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("location", ["https://PACS.example/b", "https://pacs.example:443/b", "/b", "b"])
def test_one_server_is_known_however_it_is_written(location):
    assert redirected("https://pacs.example/a", "https://pacs.example/a", location).endswith("/b")


@pytest.mark.parametrize(
    "location", ["http://pacs.example/b", "https://pacs.example:444/b", "https://other.example/b", "file:///b", "//b/c"]
)
def test_any_other_place_is_refused(location):
    with pytest.raises(ArchiveStoppedError, match="redirects to a different server"):
        redirected("https://pacs.example/a", "https://pacs.example/a", location)
