"""Against a server on this machine."""

import hashlib
import http.server
import threading

import pytest

from promise_seg.errors import PromiseError
from promise_seg.storage.download import download

CONTENT = bytes(range(256)) * 20_000  # 5 MB
CUT = r"(the connection ended|stopped) after [\d,]+( of [\d,]+)? bytes.*Run the same command again to resume"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT. ``cut`` ends the first answers after so many bytes; ``resumes`` says whether ranges work,
    ``version`` is the ETag, ``kind`` the media type."""

    cuts: list[int]
    resumes = True
    content = CONTENT
    requested: list[str | None]
    version: str | None = None
    kind: str | None = None

    def do_GET(self):
        wanted = self.headers.get("Range")
        type(self).requested.append(wanted)
        if self.path != "/sam.pth":
            self.send_error(404)
            return
        same = self.headers.get("If-Range") in (None, self.version)
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and self.resumes and same else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        for name, value in (("ETag", self.version), ("Content-Type", self.kind)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        end = start + self.cuts.pop(0) if self.cuts else len(self.content)
        self.wfile.write(self.content[start:end])

    def log_message(self, *_args):
        pass


@pytest.fixture
def handler():
    return type("OneServer", (Handler,), {"cuts": [], "requested": []})


@pytest.fixture
def url(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_args: None  # a client that stops is what is tested
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/sam.pth"
    server.shutdown()
    server.server_close()


def fetch(url, path, **changes):
    return download(url, path, **({"size": len(CONTENT), "sha256": SHA256} | changes))


def test_a_whole_file_with_progress(url, tmp_path):
    seen = []
    path = fetch(url, tmp_path / "deep/sam.pth", progress=seen.append)
    assert path.read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)
    assert seen == sorted(seen)
    assert [p.name for p in path.parent.iterdir()] == ["sam.pth"]


def test_a_broken_connection_keeps_what_came_and_goes_on_from_there(url, handler, tmp_path):
    handler.cuts = [2_000_000]
    with pytest.raises(PromiseError, match=r"2,000,000 of 5,120,000 bytes.*Run the same command again"):
        fetch(url, tmp_path / "sam.pth")
    assert not (tmp_path / "sam.pth").exists()
    assert fetch(url, tmp_path / "sam.pth").read_bytes() == CONTENT
    assert handler.requested == [None, "bytes=2000000-"]


def test_a_server_that_cannot_resume_starts_again(url, handler, tmp_path):
    handler.cuts, handler.resumes = [1_000_000], False
    with pytest.raises(PromiseError, match=CUT):
        fetch(url, tmp_path / "sam.pth")
    assert fetch(url, tmp_path / "sam.pth").read_bytes() == CONTENT


def test_stopped_by_the_user_it_goes_on_as_well(url, handler, tmp_path):
    def stop(done):
        if done > 3_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(url, tmp_path / "sam.pth", progress=stop)
    assert fetch(url, tmp_path / "sam.pth").read_bytes() == CONTENT
    assert handler.requested[1].startswith("bytes=3")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (CONTENT[:-1] + b"x", f"expected 5,120,000 bytes with {SHA256}"),
        (CONTENT + b"more", "it has 5,120,004 bytes, expected 5,120,000"),
        (b"<html>Please log in</html>", "it has 26 bytes, expected 5,120,000"),
    ],
)
def test_other_bytes_are_refused_and_not_kept(url, handler, tmp_path, wrong, words):
    handler.content = wrong
    with pytest.raises(PromiseError, match=f"not the file expected.*{words}"):
        fetch(url, tmp_path / "sam.pth")
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_not_added_to_what_came_before(url, handler, tmp_path):
    handler.cuts = [2_000_000]
    with pytest.raises(PromiseError, match=CUT):
        fetch(url, tmp_path / "sam.pth")
    handler.content = CONTENT + b"more"
    with pytest.raises(PromiseError, match="not the file expected"):
        fetch(url, tmp_path / "sam.pth")
    assert (tmp_path / "sam.pth.part").stat().st_size == 2_000_000


def test_what_is_no_address(tmp_path):
    with pytest.raises(PromiseError, match="Expected one that begins with https"):
        fetch("mirror/sam.pth", tmp_path / "sam.pth")


def test_a_page_that_is_not_there(url, tmp_path):
    with pytest.raises(PromiseError, match="Not Found"):
        fetch(url.replace("sam.pth", "none.pth"), tmp_path / "sam.pth")


def test_nobody_listens(tmp_path):
    with pytest.raises(PromiseError, match=r"stopped after 0 of .* bytes: Connection refused\. Run"):
        fetch("http://127.0.0.1:9/sam.pth", tmp_path / "sam.pth")


def test_a_leftover_that_is_too_long_is_dropped(url, tmp_path):
    (tmp_path / "sam.pth.part").write_bytes(CONTENT + b"x")
    assert fetch(url, tmp_path / "sam.pth").read_bytes() == CONTENT


def test_a_whole_leftover_needs_no_connection(tmp_path):
    (tmp_path / "sam.pth.part").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:9/sam.pth", tmp_path / "sam.pth").read_bytes() == CONTENT


def test_without_a_checksum_the_announced_size_counts(url, handler, tmp_path):
    path = download(url, tmp_path / "set.zip")
    assert path.read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]
    handler.cuts = [2_000_000]
    with pytest.raises(PromiseError, match=r"2,000,000 of 5,120,000 bytes"):
        download(url, tmp_path / "other.zip")
    assert not (tmp_path / "other.zip").exists()


def test_without_a_checksum_a_leftover_is_continued_only_if_the_file_is_still_the_same(url, handler, tmp_path):
    handler.version, handler.cuts = '"one"', [2_000_000]
    with pytest.raises(PromiseError, match=CUT):
        download(url, tmp_path / "set.zip")
    assert download(url, tmp_path / "set.zip").read_bytes() == CONTENT
    assert handler.requested == [None, "bytes=2000000-"]
    handler.cuts = [2_000_000]
    with pytest.raises(PromiseError, match=CUT):
        download(url, tmp_path / "changed.zip")
    handler.version, handler.content = '"two"', CONTENT[::-1]
    assert download(url, tmp_path / "changed.zip").read_bytes() == CONTENT[::-1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["changed.zip", "set.zip"]


def test_without_a_checksum_and_without_versions_it_starts_again(url, handler, tmp_path):
    handler.cuts = [2_000_000]
    with pytest.raises(PromiseError, match=CUT):
        download(url, tmp_path / "set.zip")
    assert download(url, tmp_path / "set.zip").read_bytes() == CONTENT
    assert handler.requested == [None, None]


def test_a_known_size_alone_refuses_other_sizes(url, tmp_path):
    with pytest.raises(PromiseError, match="it has 5,120,000 bytes, expected 7"):
        download(url, tmp_path / "set.zip", size=7)
    assert list(tmp_path.iterdir()) == []


def test_a_known_checksum_alone_refuses_other_bytes(url, tmp_path):
    with pytest.raises(PromiseError, match="not the file expected"):
        download(url, tmp_path / "set.zip", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []
    assert download(url, tmp_path / "set.zip", sha256=SHA256).read_bytes() == CONTENT


def test_a_web_page_is_not_trusted_on_first_use(url, handler, tmp_path):
    handler.kind = "text/html; charset=utf-8"
    with pytest.raises(PromiseError, match="it is a web page"):
        download(url, tmp_path / "set.zip")
    assert list(tmp_path.iterdir()) == []
