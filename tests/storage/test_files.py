import errno
import os
import re
import stat
import threading

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from promise_seg.checkpoint import save_checkpoint
from promise_seg.errors import PromiseError
from promise_seg.model import SAM_BESIDE
from promise_seg.sam.frozen import FrozenSam
from promise_seg.storage.files import (
    check_file_writable,
    check_writable,
    replacing_folder,
    write_json,
    write_text,
    write_whole,
)
from tests.helpers import make_model, make_tiny_sam


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(temporary):
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_clear_error(tmp_path):
    def fail(temporary):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(PromiseError, match=r"b\.bin: cannot write: No space left on device.*free space"):
        write_whole(tmp_path / "b.bin", fail)
    assert names(tmp_path) == []


def test_safetensors_wraps_the_system_s_errors(tmp_path):
    def fail(temporary):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with pytest.raises(PromiseError, match=r"b\.bin: cannot write: .*No space left on device"):
        write_whole(tmp_path / "b.bin", fail)


def test_folders_are_replaced_whole(tmp_path):
    folder = tmp_path / "f"
    with replacing_folder(folder) as temporary:
        write_json(temporary / "a.json", {"a": 1})

    def stop_in_the_middle():
        with replacing_folder(folder) as temporary:
            write_json(temporary / "b.json", {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert names(folder) == ["a.json"]
    with replacing_folder(folder) as temporary:
        write_json(temporary / "c.json", {})
    assert names(folder) == ["c.json"]
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("write", [check_writable, lambda path: write_text(path, "")])
@pytest.mark.parametrize("place", ["file/a", "file/a/b"])
def test_a_place_that_cannot_be_a_folder(tmp_path, write, place):
    (tmp_path / "file").write_text("")
    words = f"cannot write: {tmp_path / 'file'} is a file; expected a folder. Nothing was changed there"
    with pytest.raises(PromiseError, match=re.escape(words)):
        write(tmp_path / place)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_never_written_as_json(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"dice": [value]})
    assert names(tmp_path) == []


@pytest.fixture(params=[0o022, 0o077, 0o027, 0o002], ids=oct)
def umask(request):
    """A umask; and what of the bits of a mode it leaves."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder):
    """The bits of all files, and of all folders, in a folder and of itself."""
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    return {m for p, m in found.items() if p.is_file()}, {m for p, m in found.items() if p.is_dir()}


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_a_checkpoint_can_be_read_by_whom_the_umask_lets(umask, tmp_path):
    sam = make_tiny_sam()
    model = make_model(FrozenSam(sam.model, SAM_BESIDE, sam.sha256))
    save_checkpoint(model, tmp_path / "c")
    assert {path.name for path in (tmp_path / "c").rglob("*")} >= {"model.safetensors", "sam"}
    assert modes(tmp_path / "c") == ({0o666 & ~umask}, {0o777 & ~umask})


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_files_in_folders_have_the_mode_of_any_other_whatever_made_them(umask, tmp_path):
    with replacing_folder(tmp_path / "f") as temporary:
        (temporary / "inner").mkdir(mode=0o700)
        save_file({"a": torch.zeros(1)}, temporary / "inner" / "a.safetensors")
        (temporary / "b").touch(mode=0o600)
        (temporary / "link").symlink_to("/nowhere")
    (tmp_path / "f" / "link").unlink()
    write_whole(tmp_path / "f" / "alone.safetensors", lambda path: save_file({"a": torch.zeros(1)}, path))
    assert modes(tmp_path / "f") == ({0o666 & ~umask}, {0o777 & ~umask})


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_folders_keep_to_the_group_of_the_folder_they_are_in(tmp_path):
    tmp_path.chmod(0o2775)
    with replacing_folder(tmp_path / "f") as temporary:
        (temporary / "inner").mkdir()
    assert all(path.stat().st_mode & stat.S_ISGID for path in (tmp_path / "f", tmp_path / "f" / "inner"))


def test_threads_that_write_at_once_leave_the_umask_as_it_was(tmp_path):
    def work(name):
        for _ in range(50):
            write_text(tmp_path / name, name)

    before = os.umask(0o027)
    try:
        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "abcd"} == {0o640}
    finally:
        assert os.umask(before) == 0o027


@pytest.mark.parametrize("name", ["a" * 250 + ".txt", "\u56fe" * 83 + ".csv"])
def test_a_name_as_long_as_the_system_takes_is_written(tmp_path, name):
    write_text(tmp_path / name, "all")
    assert names(tmp_path) == [name]


def test_a_name_that_is_too_long_is_one_clear_error(tmp_path):
    with pytest.raises(PromiseError, match=r"cannot write: File name too long\. .*choose a shorter name\."):
        write_text(tmp_path / ("a" * 300), "all")


@pytest.mark.parametrize("text", ["first\nimages/\udce9.png,train\nlast\n", "\udcff"])
def test_text_that_is_no_utf_8_changes_nothing_and_names_its_line(tmp_path, text):
    write_text(tmp_path / "a.csv", "old")
    with pytest.raises(PromiseError, match=r"a\.csv: cannot be written: a file name has '.udc") as caught:
        write_text(tmp_path / "a.csv", text)
    assert "first" not in str(caught.value)
    assert "last" not in str(caught.value)
    assert (tmp_path / "a.csv").read_text() == "old"


def test_a_folder_in_the_place_of_a_file_for_results_is_said_before_the_work(tmp_path):
    with pytest.raises(PromiseError, match=r"is a folder; expected the name of a file\. Choose another one"):
        check_file_writable(tmp_path)
    check_file_writable(tmp_path / "new" / "results.json")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_file_in_the_place_of_a_folder_for_results_is_said(tmp_path):
    (tmp_path / "results").write_text("mine")
    with pytest.raises(PromiseError, match=r"results: is a file; expected a folder\. Choose another place"):
        check_writable(tmp_path / "results")
    assert (tmp_path / "results").read_text() == "mine"
