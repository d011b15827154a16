import pytest

from promise_seg.archives.connection import ArchiveRequest
from promise_seg.archives.dicom_json import DICOM_JSON, items_of
from tests.archives.serving import in_turn, json_answer

STUDIES = ArchiveRequest("/studies", DICOM_JSON)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_what_is_sent_to_this_computer_goes_through_no_proxy(serve, connect, monkeypatch, host):
    """It is not encrypted, and its credentials are to stay here."""
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "s3cret")
    proxy, archive = serve(in_turn(json_answer())), serve(in_turn(json_answer()))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert connect(f"dicomweb://{host}:{archive.port}/d").exchange(STUDIES, items_of) == []
    assert (len(archive.asked), proxy.asked) == (1, [])


def test_other_archives_are_asked_through_the_proxy_of_the_environment(serve, connect, monkeypatch):
    proxy = serve(in_turn(json_answer()))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    connect("dicomweb+http://pacs.example/d").exchange(STUDIES, items_of)
    assert [one.path for one in proxy.asked] == ["http://pacs.example/d/studies"]
