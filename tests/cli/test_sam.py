import hashlib
import http.server
import threading
from dataclasses import replace

import pytest

from promise_seg.cli.main import main
from promise_seg.sam import known as known_sams

CONTENT = b"weights" * 1000


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A server on this machine, and a known SAM whose bytes it has."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "sam.pth").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = known_sams.KNOWN_SAMS["sam_vit_b"]
    small = replace(known, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(known_sams.KNOWN_SAMS, "sam_vit_b", small)
    yield f"http://127.0.0.1:{server.server_port}/sam.pth"
    server.shutdown()
    server.server_close()


def test_list_and_info(capsys):
    assert main(["sam", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("nano", *known_sams.KNOWN_SAMS))
    assert main(["sam", "info", "sam_vit_b"]) == 0
    printed = capsys.readouterr().out
    assert "375,042,383 bytes" in printed
    assert "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912" in printed
    assert "Apache-2.0" in printed
    assert main(["sam", "info", "nano"]) == 0
    assert main(["sam", "info", "sam_vit_x"]) == 2


def test_fetch_puts_the_file_where_names_are_looked_up(mirror, capsys):
    assert main(["sam", "fetch", "sam_vit_b", "--url", mirror]) == 0
    assert known_sams.fetched("sam_vit_b").read_bytes() == CONTENT
    assert "Licence: Apache-2.0" in capsys.readouterr().err
    assert main(["sam", "fetch", "sam_vit_b", "--url", "http://127.0.0.1:9/"]) == 0
    assert "already there" in capsys.readouterr().err


def test_fetch_takes_the_place_of_no_other_file(mirror, tmp_path, capsys):
    mine = tmp_path / "mine.pth"
    mine.write_text("mine")
    assert main(["sam", "fetch", "sam_vit_b", "--url", mirror, "-o", str(mine)]) == 2
    assert "mine.pth: already exists and is not sam_vit_b, or is a damaged copy of it" in capsys.readouterr().err
    assert main(["sam", "fetch", "sam_vit_b", "--url", mirror, "-o", str(mine / "sam.pth")]) == 2
    assert "mine.pth: is a file; expected a folder. Choose another place" in capsys.readouterr().err
    assert mine.read_text() == "mine"


def test_fetch_takes_the_place_of_no_other_file_if_no_hash_is_published(mirror, tmp_path, monkeypatch, capsys):
    known = known_sams.KNOWN_SAMS["sam_vit_b"]
    monkeypatch.setitem(known_sams.KNOWN_SAMS, "sam_vit_b", replace(known, sha256=None))
    mine, new = tmp_path / "mine.pth", tmp_path / "new.pth"
    mine.write_text("mine")
    assert main(["sam", "fetch", "sam_vit_b", "--url", mirror, "-o", str(mine)]) == 2
    assert "mine.pth: already exists and was not fetched with this command" in " ".join(capsys.readouterr().err.split())
    assert mine.read_text() == "mine"
    for words in ("is now noted in", "already there"):
        assert main(["sam", "fetch", "sam_vit_b", "--url", mirror, "-o", str(new)]) == 0
        assert words in " ".join(capsys.readouterr().err.split())
    assert new.read_bytes() == CONTENT


def test_fetch_of_other_bytes_is_one_clear_line(mirror, monkeypatch, capsys):
    known = known_sams.KNOWN_SAMS["sam_vit_b"]
    monkeypatch.setitem(known_sams.KNOWN_SAMS, "sam_vit_b", replace(known, sha256="0" * 64))
    assert main(["sam", "fetch", "sam_vit_b", "--url", mirror]) == 2
    error = capsys.readouterr().err
    assert "not the file expected" in error
    assert "Traceback" not in error
    assert not known_sams.sam_path("sam_vit_b").exists()


def test_a_hash_that_nobody_published_is_noted_on_the_first_fetch(mirror, monkeypatch, capsys):
    known = known_sams.KNOWN_SAMS["medsam2"]
    assert (known.sha256, known.size) == (None, None)
    assert main(["sam", "info", "medsam2"]) == 0
    assert "not published; noted on the first fetch" in capsys.readouterr().out
    assert main(["sam", "fetch", "medsam2", "--url", mirror]) == 0
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert digest in capsys.readouterr().err.replace("\n", "")
    assert main(["sam", "info", "medsam2"]) == 0
    assert f"{digest} (not published; as fetched)" in capsys.readouterr().out
    assert main(["sam", "fetch", "medsam2", "--url", "http://127.0.0.1:9/"]) == 0
    assert "already there" in capsys.readouterr().err
    known_sams.sam_path("medsam2").write_bytes(b"other")
    assert main(["sam", "fetch", "medsam2", "--url", mirror]) == 0
    assert known_sams.sam_path("medsam2").read_bytes() == CONTENT
