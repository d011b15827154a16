"""Files of tensors: equal content is equal bytes, and no flipped bit goes unnoticed."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from promise_seg.errors import PromiseError
from promise_seg.storage import strays, tensor_files
from promise_seg.storage.files import replacing_folder
from promise_seg.storage.tensor_files import KEY, DamagedError, load_tensors, read_metadata, save_tensors, write_tensors

TENSORS = {
    "scalar": torch.tensor(1.5),
    "none": torch.zeros(0, 3),
    "half": torch.arange(6).reshape(2, 3).half(),
    "brain": torch.ones(2, dtype=torch.bfloat16),
    "flags": torch.tensor([True, False]),
    "turned": torch.arange(6).reshape(2, 3).T,
}
TEXTS = {"facts": json.dumps({"epoch": 3}), "recipe": "ä"}


def test_what_is_saved_is_loaded(tmp_path):
    save_tensors(tmp_path / "a", TENSORS, TEXTS)
    tensors, texts = load_tensors(tmp_path / "a")
    assert texts == TEXTS == read_metadata(tmp_path / "a")
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_equal_content_is_equal_bytes(tmp_path):
    for name in "ab":
        save_tensors(tmp_path / name, dict(sorted(TENSORS.items(), reverse=name == "a")), TEXTS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


KILLED = """
import os, sys
from pathlib import Path
import torch
from promise_seg.storage import tensor_files

def half_written(tensors, path, metadata):
    (Path(path).parent / ".tmpAbCdEf").write_bytes(b"half")  # as the library calls its own
    os._exit(1)

tensor_files.save_file = half_written
tensor_files.save_tensors(Path(sys.argv[1]), {"x": torch.zeros(1000)})
"""


def test_what_a_killed_writer_leaves_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.safetensors"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == 1
    assert list(tmp_path.rglob(".tmpAbCdEf"))
    save_tensors(path, {"x": torch.zeros(1000)})
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_what_the_library_makes_is_in_a_folder_that_is_gone_whatever_happens(tmp_path, monkeypatch):
    def fails(_tensors, path, metadata):
        assert strays._OWNED.fullmatch(Path(path).parent.name)
        Path(path).touch()
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(tensor_files, "save_file", fails)
    with pytest.raises(PromiseError, match="No space left on device"):
        save_tensors(tmp_path / "a", TENSORS)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_its_place_as_a_whole_has_the_file_alone_or_is_not_written(tmp_path, monkeypatch):
    def refused(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "rmdir", refused)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(PromiseError, match="cannot write"), replacing_folder(tmp_path / "a") as new:
        write_tensors(new / "weights", TENSORS)
    monkeypatch.undo()
    assert not (tmp_path / "a").exists()
    with replacing_folder(tmp_path / "a") as new:
        write_tensors(new / "weights", TENSORS)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["weights"]


def test_a_file_of_tensors_has_the_mode_of_any_other(tmp_path):
    save_tensors(tmp_path / "a", TENSORS)
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


MEGABYTES = 64
MEASURED = f"""
import sys
from pathlib import Path
import torch
from promise_seg.storage.tensor_files import save_tensors

def most_held():
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

tensors = {{"x": torch.ones({MEGABYTES}, 1 << 18)}}
save_tensors(Path(sys.argv[1]), {{"x": torch.ones(1)}})  # whatever is imported by that
before = most_held()
save_tensors(Path(sys.argv[1]), tensors)
print(most_held() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_writing_holds_no_second_copy_of_the_tensors(tmp_path):
    words = [sys.executable, "-c", MEASURED, str(tmp_path / "a")]
    assert float(subprocess.run(words, check=True, capture_output=True, text=True).stdout) < MEGABYTES / 2


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    path = tmp_path / "a"
    save_tensors(path, {"weight": torch.arange(4.0), "bias": torch.ones(2).half()}, {"facts": '{"epoch": 3}'})
    sound, (tensors, texts) = path.read_bytes(), load_tensors(path)
    noticed = 0
    for number in range(len(sound) * 8):
        broken = bytearray(sound)
        broken[number // 8] ^= 1 << number % 8
        path.write_bytes(broken)
        try:
            found, found_texts = load_tensors(path)
        except (DamagedError, SafetensorError):
            noticed += 1
            continue
        assert set(found) == set(tensors)
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)
        assert found_texts == texts or KEY not in path.read_text("latin-1")
    assert noticed > len(sound) * 8 * 0.9


def test_files_of_others_have_no_hash_to_compare(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "a", metadata={"state": "x"})
    assert load_tensors(tmp_path / "a").metadata == read_metadata(tmp_path / "a") == {"state": "x"}
    save_file({"a": torch.ones(1)}, tmp_path / "b")
    assert load_tensors(tmp_path / "b").metadata == {}


@pytest.mark.parametrize("entry", ["no JSON", "[]", "null", "{}", '{"sha256": "a", "metadata": null}'])
def test_an_entry_of_another_form_is_damage(tmp_path, entry):
    save_file({"a": torch.ones(1)}, tmp_path / "a", metadata={KEY: entry})
    with pytest.raises(DamagedError, match="metadata changed after it was written"):
        load_tensors(tmp_path / "a")


def test_content_is_not_compared_where_that_was_done_before(tmp_path):
    path = tmp_path / "a"
    save_tensors(path, {"a": torch.zeros(4)})
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DamagedError, match="its content changed after it was written"):
        load_tensors(path)
    assert load_tensors(path, check=False).tensors["a"].any()
