"""Files of tensors: equal content is equal bytes, and no flipped bit goes unnoticed."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from promise_seg import strays
from promise_seg.tensor_files import KEY, DamagedError, load_tensors, read_metadata, save_tensors

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


def test_a_process_that_is_killed_leaves_no_file_of_an_unknown_name(tmp_path, monkeypatch):
    seen = []
    write = Path.write_bytes

    def killed_here(path, content):
        write(path, content[: len(content) // 2])
        seen.extend(one.name for one in tmp_path.iterdir())
        write(path, content)

    monkeypatch.setattr(Path, "write_bytes", killed_here)
    save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(1000)})
    assert len(seen) == 1
    assert strays._OWNED.fullmatch(seen[0])


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
