"""What is written is brought to the disk before it is said to be there; what can be made again is not waited for."""

import errno
import os
from pathlib import Path

import pytest

from promise_seg.errors import PromiseError
from promise_seg.storage.files import Sync, replacing_folder, write_text, write_whole

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks Linux for the names of open files")


def opened(handle):
    return Path(f"/proc/self/fd/{handle}").readlink()


@pytest.fixture
def synced(monkeypatch):
    """What the system was asked to bring to the disk, in order, and what each was called by then."""
    done = []

    def fsync(handle):
        path = opened(handle)
        done.append((path.name, sorted(one.name for one in path.iterdir()) if path.is_dir() else None))

    monkeypatch.setattr(os, "fsync", fsync)
    return done


def test_a_file_is_synced_before_it_is_renamed_and_its_folder_afterwards(tmp_path, synced):
    folder = tmp_path / "f"
    write_text(folder / "a.txt", "a")
    (name, _), (folder_name, names) = synced
    assert name.endswith("~a.txt")
    assert (folder_name, names) == ("f", ["a.txt"])


def test_the_content_alone_is_synced_where_the_folder_follows_later(tmp_path, synced):
    write_whole(tmp_path / "a.png", lambda p: p.write_bytes(b"1"), Sync.FILE)
    assert [name.endswith("~a.png") for name, _ in synced] == [True]


def test_what_can_be_made_again_is_not_synced(tmp_path, synced):
    write_whole(tmp_path / "a.png", lambda p: p.write_bytes(b"1"), Sync.NONE)
    assert synced == []


def test_a_folder_is_synced_with_all_its_files_before_it_takes_its_place(tmp_path, synced):
    with replacing_folder(tmp_path / "f") as new:
        (new / "inner").mkdir()
        (new / "a.txt").write_text("a")
        (new / "inner" / "b.txt").write_text("b")
    *inside, (last, names) = synced
    assert sorted(name for name, _ in inside if not name.endswith("~")) == ["a.txt", "b.txt", "inner"]
    assert inside[-1][0].endswith(".new~")
    assert (last, names) == (tmp_path.name, ["f"])


def test_a_disk_that_breaks_while_syncing_leaves_the_old_file(tmp_path, monkeypatch):
    write_text(tmp_path / "a.txt", "old")

    def broken(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(PromiseError, match=r"a\.txt: cannot write: Input/output error\. Nothing was changed"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(("number", "is_an_error"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_file_systems_that_cannot_sync_folders_are_used_all_the_same(tmp_path, monkeypatch, number, is_an_error):
    def fsync(handle):
        if opened(handle).is_dir():
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    if is_an_error:
        with pytest.raises(PromiseError, match="were written, but the system could not bring them to the disk"):
            write_text(tmp_path / "a.txt", "new")
    else:
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
