import argparse
import re

import pytest
import torch

from promise_seg.errors import CheckpointError
from promise_seg.sam.pickles import differences, read_state


@pytest.fixture
def saved(tmp_path):
    def save(content):
        path = tmp_path / "weights.pth"
        torch.save(content, path)
        return path

    return save


STATE = {"a.weight": torch.arange(4.0), "b": torch.tensor(3)}


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict"])
def test_a_state_dict_under_a_usual_key(saved, wrapper):
    tensors, notes, _ = read_state(saved({wrapper: STATE, "epoch": 3}))
    assert torch.equal(tensors["a.weight"], STATE["a.weight"])
    assert notes == (f"taken from under '{wrapper}'",)


def test_the_prefix_of_data_parallel_is_taken_off(saved):
    tensors, notes, _ = read_state(saved({f"module.{name}": v for name, v in STATE.items()}))
    assert tensors.keys() == STATE.keys()
    assert "DataParallel" in notes[0]


def test_the_parts_of_wrappers_are_taken_out_of_any_place(saved):
    tensors, notes, _ = read_state(saved({f"module.a._orig_mod.{name}": v for name, v in STATE.items()}))
    assert tensors.keys() == {f"a.{name}" for name in STATE}
    assert notes == ("prefix 'module.' of DataParallel removed", "prefix '_orig_mod.' of torch.compile removed")


def test_names_stay_where_two_would_become_one(saved):
    tensors, notes, _ = read_state(saved({"module.b": torch.ones(1), "b": torch.zeros(1)}))
    assert tensors.keys() == {"module.b", "b"}
    assert notes == ()


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
def test_half_precision_becomes_single_and_integers_stay(saved, dtype):
    tensors, notes, narrow = read_state(saved({"a.weight": STATE["a.weight"].to(dtype), "b": STATE["b"]}))
    assert tensors["a.weight"].dtype == torch.float32
    assert tensors["b"].dtype == torch.int64
    assert "converted to single precision" in notes[0]
    assert narrow == {"a.weight": dtype}


def test_tensors_saved_on_another_device_come_to_the_cpu(saved, monkeypatch):
    """The file says cuda:0 for every tensor, as if it had been written on such a machine."""
    monkeypatch.setattr(torch.serialization, "location_tag", lambda _storage: "cuda:0")
    path = saved(STATE)
    monkeypatch.undo()
    assert b"cuda:0" in path.read_bytes()
    assert all(v.device.type == "cpu" for v in read_state(path).tensors.values())


class Evil:
    def __reduce__(self):
        return (re.compile, ("x",))


@pytest.mark.parametrize("content", [{"a": Evil()}, Evil()])
def test_nothing_but_tensors_is_unpickled(saved, content):
    with pytest.raises(CheckpointError, match="can run code"):
        read_state(saved(content))


def test_what_is_more_than_tensors_is_named_with_a_way_out(saved):
    content = {"model": STATE, "args": argparse.Namespace(lr=1)}
    with pytest.raises(CheckpointError, match=r"more than tensors \(argparse\.Namespace\).*save its weights alone"):
        read_state(saved(content))


@pytest.mark.parametrize("version", ["2.9.1", "2.5.0+cu124", "1.13.1"])
def test_an_unsafe_pytorch_opens_no_pickles(saved, monkeypatch, version):
    path = saved(STATE)
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(CheckpointError, match=r"CVE-2026-24747.*Install torch 2\.10 or newer"):
        read_state(path)


@pytest.mark.parametrize("content", [torch.ones(3), {}, {"a": 1}, [torch.ones(2)], {1: torch.ones(1)}])
def test_what_is_no_state_dict(saved, content):
    with pytest.raises(CheckpointError, match="not a state dict"):
        read_state(saved(content))


def test_a_missing_file_and_a_truncated_one(saved, tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read_state(tmp_path / "none.pth")
    path = saved(STATE)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=r"weights\.pth: cannot be read"):
        read_state(path)


@pytest.mark.parametrize("content", [b"hello there", b"this is no checkpoint", b"json{}", b"X", b"", b"\x80\x02."])
def test_files_of_another_kind(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.pth: cannot be read"):
        read_state(path)


def test_differences_in_words():
    assert differences(STATE, STATE) is None
    found = differences({"a.weight": torch.ones(2), "c": torch.ones(1)}, STATE)
    assert found == "1 missing: b; 1 unexpected: c; 1 of another shape: a.weight is (2,), expected (4,)"


def test_long_lists_are_cut():
    many = {f"x{i:02}": torch.ones(1) for i in range(20)}
    assert differences({}, many, limit=3) == "20 missing: x00, x01, x02 and 17 more"
