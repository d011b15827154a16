import io
import stat
import tarfile
import zipfile

import pytest

from promise_seg.curation.sets.unpacking import unpack, unpacked_limit
from promise_seg.errors import PromiseError
from tests.curation.sets.helpers import zip_of


def write(path, content):
    path.write_bytes(content)
    return path


def tar_of(*members, mode="w:gz"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def nothing_is_left(folder):
    return sorted(path.name for path in folder.parent.iterdir()) == ["archive"]


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_zip_and_tar_whatever_the_name(tmp_path, mode):
    files = {"set/images/a.png": b"image", "set/masks/a.png": b"mask"}
    content = (
        zip_of(files) if mode == "zip" else tar_of(*((tarfile.TarInfo(n), c) for n, c in files.items()), mode=mode)
    )
    seen = []
    folder = unpack(write(tmp_path / "archive", content), tmp_path / "out", progress=seen.append)
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.png")} == files
    assert seen[-1] == 9


def test_what_macos_adds_is_left_out(tmp_path):
    files = {"__MACOSX/set/._a.png": b"x", "set/.DS_Store": b"x", "set/._a.png": b"x", "set/a.png": b"image"}
    folder = unpack(write(tmp_path / "archive", zip_of(files)), tmp_path / "out")
    assert [p.name for p in folder.rglob("*") if p.is_file()] == ["a.png"]


@pytest.mark.parametrize(
    "name", ["../evil.png", "set/../../evil.png", "/tmp/evil.png", "..\\evil.png", "C:\\evil.png", "C:evil.png"]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_path_leads_out_of_the_folder(tmp_path, name, kind):
    content = zip_of({"a.png": b"a", name: b"x"}) if kind == "zip" else tar_of((tarfile.TarInfo(name), b"x"))
    with pytest.raises(PromiseError, match=r"leads out of its folder, .*evil"):
        unpack(write(tmp_path / "archive", content), tmp_path / "out")
    assert nothing_is_left(tmp_path / "out")


def test_no_links(tmp_path):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(PromiseError, match="contains a link or device, 'link'"):
        unpack(write(tmp_path / "archive", tar_of((link, b""))), tmp_path / "out")
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(PromiseError, match="contains a link, 'link'"):
        unpack(write(tmp_path / "archive", file.getvalue()), tmp_path / "out")
    assert nothing_is_left(tmp_path / "out")


def test_a_bomb_is_not_unpacked(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"small")
        archive.writestr("b.png", bytes(3_000_000))
    path = write(tmp_path / "archive", file.getvalue())
    assert path.stat().st_size < 10_000
    with pytest.raises(PromiseError, match=r"unpacks to more than 2,000,000 bytes"):
        unpack(path, tmp_path / "out", limit=2_000_000)
    assert nothing_is_left(tmp_path / "out")
    assert unpacked_limit(46_000_000) == 1_420_000_000


def test_a_bomb_in_a_tar_is_not_unpacked(tmp_path):
    path = write(tmp_path / "archive", tar_of((tarfile.TarInfo("b.png"), bytes(3_000_000))))
    with pytest.raises(PromiseError, match="unpacks to more than"):
        unpack(path, tmp_path / "out", limit=2_000_000)
    assert nothing_is_left(tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_is_refused(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", b"one")
        archive.writestr("A.png", b"two")
    with pytest.raises(PromiseError, match=r"contains A\.png twice"):
        unpack(write(tmp_path / "archive", file.getvalue()), tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Rar!\x1a\x07\x01\x00", "a rar or 7z archive.*7-Zip"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"nothing of the kind", "not a readable archive"),
        (b"", "not a readable archive"),
    ],
)
def test_what_is_no_archive_is_named(tmp_path, content, words):
    with pytest.raises(PromiseError, match=words):
        unpack(write(tmp_path / "archive", content), tmp_path / "out")


def test_damage_leaves_the_old_folder(tmp_path):
    content = bytearray(zip_of({"a.png": b"image" * 100}))
    content[60] ^= 255
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.png").touch()
    with pytest.raises(PromiseError, match="damaged or encrypted"):
        unpack(write(tmp_path / "archive", bytes(content)), tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["old.png"]


def test_a_damaged_tar(tmp_path):
    content = tar_of((tarfile.TarInfo("a.png"), bytes(range(256)) * 2000))
    with pytest.raises(PromiseError, match="damaged or encrypted"):
        unpack(write(tmp_path / "archive", content[: len(content) // 2]), tmp_path / "out")
    assert nothing_is_left(tmp_path / "out")
