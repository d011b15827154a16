import errno

import pytest
from safetensors import SafetensorError

from promise_seg.errors import PromiseError
from promise_seg.files import replacing_folder, write_json, write_text, write_whole


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


def test_a_place_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PromiseError, match="cannot write"):
        write_text(tmp_path / "file" / "x.txt", "")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_never_written_as_json(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"dice": [value]})
    assert names(tmp_path) == []
