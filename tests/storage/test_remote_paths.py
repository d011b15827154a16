"""Files at addresses are read as files are: fetched whole, when they are needed, and never written."""

import errno
import os
import pickle
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import ImageError, ManifestError, SettingsError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.opening import open_source
from promise_seg.storage import object_stores, remote_paths
from promise_seg.storage.remote_paths import RemotePath, as_path, begin_reading
from tests.helpers import disc_image
from tests.lossy_proxy import LossyProxy


class QuietHandler(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder, and the address at which a server of the web has it."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install 'promise-seg[https]'")
    monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / "copies"))
    monkeypatch.setattr(remote_paths, "_of_processes", {})
    monkeypatch.setattr(object_stores, "_FIRST_PAUSE_SECONDS", 0.001)
    folder = tmp_path / "web"
    folder.mkdir()
    handler = type("Handler", (QuietHandler,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}", handler.asked
    remote_paths._copies().end()
    server.shutdown()
    server.server_close()


@pytest.fixture
def memory(request, tmp_path, monkeypatch):
    """A bucket in the memory of this process, and its address."""
    monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / "copies"))
    monkeypatch.setattr(remote_paths, "_of_processes", {})
    system = fsspec.filesystem("memory")
    root = f"/{request.node.originalname}"
    system.mkdir(root)
    yield lambda name, content: system.pipe_file(f"{root}/{name}", content), f"memory:/{root}"
    remote_paths._copies().end()
    system.rm(root, recursive=True)


def write_kinds(folder):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    nib.save(nib.Nifti1Image(np.arange(8 * 9 * 4, dtype=np.int16).reshape(8, 9, 4), np.eye(4)), folder / "v.nii.gz")
    tifffile.imwrite(folder / "t.tif", pixels)
    np.save(folder / "n.npy", pixels)
    (folder / "m.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_UCHAR\nElementSpacing = 1 1 1\n"
        "ElementDataFile = m.raw\n"
    )
    (folder / "m.raw").write_bytes(bytes(range(24)))
    return ["a.png", "v.nii.gz", "t.tif", "n.npy", "m.mhd"]


def test_files_of_all_kinds_are_read_as_those_of_this_computer(web):
    folder, address, _ = web
    for name in write_kinds(folder):
        here, there = open_source(folder / name), open_source(f"{address}/{name}")
        assert str(there.path) == f"{address}/{name}"
        assert np.array_equal(here.array, there.array)


def test_a_file_is_fetched_once_and_the_copies_go_with_the_process(web, tmp_path, monkeypatch):
    folder, address, asked = web
    monkeypatch.setattr(remote_paths, "_MOST_COPIES", 8)
    for number in range(12):
        (folder / f"{number}.bin").write_bytes(bytes([number]))
        path = as_path(f"{address}/{number}.bin")
        for _ in range(3):
            assert path.read_bytes() == bytes([number])
    assert len(asked) == 12
    [place] = (tmp_path / "copies").iterdir()
    assert len(list(place.iterdir())) == 8
    assert as_path(f"{address}/0.bin").read_bytes() == b"\0"
    remote_paths._copies().end()
    assert not place.exists()


def test_what_is_not_there_or_was_changed(web):
    folder, address, _ = web
    gone = as_path(f"{address}/none.png")
    assert not gone.exists()
    with pytest.raises(ImageError, match=r"none\.png: no such file$"):
        open_source(gone)
    path = as_path(f"{address}/a.bin")
    (folder / "a.bin").write_bytes(b"one")
    sent = pickle.dumps(path)
    assert path.read_bytes() == b"one"
    known = pickle.dumps(path)
    (folder / "a.bin").write_bytes(b"three")
    assert path.read_bytes() == b"one"  # as it is held
    begin_reading()
    assert pickle.loads(sent).read_bytes() == b"three"
    begin_reading()
    with pytest.raises(OSError, match="was changed since it was read first") as refused:
        pickle.loads(known).read_bytes()
    assert refused.value.errno == errno.ESTALE
    with pytest.raises(OSError, match="only read"):
        path.write_bytes(b"four")
    with pytest.raises(OSError, match="only read"):
        (path / "below").mkdir()


def test_lost_connections(web):
    folder, address, _ = web
    content = os.urandom(50_000)
    (folder / "a.bin").write_bytes(content)
    proxy = LossyProxy(int(address.rsplit(":", 1)[1]), 1.0)
    path = as_path(f"http://127.0.0.1:{proxy.port}/a.bin")
    assert path.read_bytes() == content
    proxy.close()
    gone = as_path(f"http://127.0.0.1:{proxy.port}/b.png")
    with pytest.raises(ImageError, match="the server did not answer in 9 attempts"):
        open_source(gone)
    with pytest.raises(
        ManifestError,
        match=r"b\.csv: the server .* 9 attempts: .*\. Check the connection, and run the same command again$",
    ):
        read_manifest(as_path(f"http://127.0.0.1:{proxy.port}/b.csv"))


def test_the_disk_of_copies_is_full(web, monkeypatch):
    folder, address, _ = web
    (folder / "a.png").write_bytes(b"x")

    def full(*arguments, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = as_path(f"{address}/a.png")
    monkeypatch.setattr(remote_paths._place_of(path)[0]._system, "get_file", full)
    with pytest.raises(ImageError, match=r"a\.png: cannot be opened: No space left on device"):
        open_source(path)


@pytest.mark.parametrize(
    ("address", "words"),
    [("https://user:secret@host/a.png", "contains credentials or options"),
     ("https://host/a.png?X-Amz-Signature=secret", "contains credentials or options"),
     ("https://user:secret/a.png", "contains credentials or options"),
     ("s3://bucket/../x", r"contains \.\."),
     ("http://host/a.png", "expected https://"),
     ("file:///etc/secret", "expected an address"),
     ("file://host/secret", "expected an address that begins with s3://, gs:// or https://"),
     ("ftp://host/a.png", "expected an address that begins with s3://, gs:// or https://")],
)  # fmt: skip
def test_addresses_that_cannot_be_meant(address, words):
    with pytest.raises(SettingsError, match=words) as refused:
        as_path(address)
    assert "secret" not in str(refused.value) or address.startswith("file")
    with pytest.raises(SettingsError, match=words):
        find_inputs([address])


def test_paths_print_as_addresses():
    path = as_path(Path("https://host/x/a.png"))
    assert isinstance(path, RemotePath)
    assert str(path) == "https://host/x/a.png"
    assert str(path.parent / "b.png") == "https://host/x/b.png"
    assert (path.name, path.suffix, str(path.relative_to(path.parent))) == ("a.png", ".png", "a.png")
    assert path.resolve() is path.absolute() is path
    assert pickle.loads(pickle.dumps(path)) == path
    assert type(as_path("a.png")) is type(Path("a.png"))
    with pytest.raises(OSError, match="leads out of its bucket or server"):
        os.fspath(path / "/etc/passwd")
    with pytest.raises(OSError, match="leads out of its bucket or server"):
        os.fspath(path.parent / ".." / ".." / "x")


def test_images_of_a_folder_at_an_address(memory, tmp_path):
    put, address = memory
    for name in ("p1/a.png", "p0/b.nii.gz", "p0/.hidden.png", "readme.txt", "c.dcm", "out/masks/p1/a.png", "z.png"):
        put(name, b"x")
    notes = []
    found = find_inputs([address], notes.append, f"{address}/out")
    assert [one.stem for one in found] == ["p0/b", "p1/a", "z"]
    assert [one.name for one in found] == [f"{address}/{name}" for name in ("p0/b.nii.gz", "p1/a.png", "z.png")]
    assert [one.key for one in found] == [one.name for one in found]
    assert len(notes) == 1
    assert notes[0].startswith(f"{address}/c.dcm: left out")
    Image.fromarray(disc_image(0)[0]).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="no such file or folder"):
        find_inputs([f"{address}/none"])
    assert len(find_inputs([f"{address}/z.png", tmp_path / "a.png"])) == 2
    assert {one.stem for one in find_inputs([f"{address}/p1", f"{address}/out/masks/p1"])} == {"p1/a", "out/masks/p1/a"}


def test_servers_of_the_web_are_not_listed(web):
    _, address, _ = web
    with pytest.raises(ImageError, match="the files of a web server cannot be listed"):
        find_inputs([address])


def test_names_in_a_manifest_at_an_address_are_beside_it(web, tmp_path):
    folder, address, _ = web
    (folder / "sets").mkdir()
    text = "image_name,train_type,mask_name\n{},train,masks/a.png\n"
    manifest = f"{address}/sets/m.csv"

    def rows(image):
        (folder / "sets" / "m.csv").write_text(text.format(image))
        return read_manifest(manifest)

    [row] = rows("../images/a.png")
    assert (str(row.image), str(row.mask)) == (f"{address}/images/a.png", f"{address}/sets/masks/a.png")
    assert row.where == f"{manifest}:2"
    assert str(rows("https://host/a.png")[0].image) == "https://host/a.png"
    for name, words in {
        "/etc/passwd": "is outside of", "../../a.png": "is outside of", "file:///etc/passwd": "expected an address",
        "s3://key:secret@bucket/a.png": "contains credentials",
    }.items():  # fmt: skip
        with pytest.raises(ManifestError, match=words) as refused:
            rows(name)
        assert "secret" not in str(refused.value)
    local = tmp_path / "m.csv"
    local.write_text(text.format(f"{address}/a.png"))
    assert str(read_manifest(local)[0].image) == f"{address}/a.png"
    with pytest.raises(ManifestError, match=r"no such file\. Expected a CSV"):
        read_manifest(f"{address}/none.csv")
    shutil.rmtree(folder / "sets")
