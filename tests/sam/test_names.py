"""State dicts of a SAM as other programs save them: under a prefix, under other names, in another format."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from promise_seg.errors import CheckpointError
from promise_seg.sam.loading import load_sam
from promise_seg.sam.official import official_state


@pytest.fixture
def state(tiny_sam):
    return official_state(tiny_sam.model)


@pytest.mark.parametrize(
    ("prefix", "word"),
    [
        ("sam.", "prefix 'sam.' removed"),
        ("module.", "prefix 'module.' of DataParallel removed"),
        ("_orig_mod.", "prefix '_orig_mod.' of torch.compile removed"),
        ("module._orig_mod.model.sam.", "prefix 'model.sam.' removed"),
        ("sam._orig_mod.", "prefix 'sam.' removed"),
    ],
)
def test_a_prefix_is_removed_with_a_note(state, tiny_sam, tmp_path, prefix, word):
    torch.save({"state_dict": {prefix + name: v for name, v in state.items()}}, tmp_path / "sam.pth")
    sam = load_sam(str(tmp_path / "sam.pth"))
    assert sam.sha256 == tiny_sam.sha256
    assert word in sam.notes


def test_other_parts_of_the_module_are_left_out_and_counted(state, tiny_sam, tmp_path):
    others = {"loss.weight": torch.ones(2), "head.0.bias": torch.ones(3)}
    torch.save({f"net.{name}": v for name, v in state.items()} | others, tmp_path / "sam.pth")
    sam = load_sam(str(tmp_path / "sam.pth"))
    assert sam.sha256 == tiny_sam.sha256
    assert "prefix 'net.' removed, and 2 parameters without it left out" in sam.notes


def test_two_sams_in_one_file_are_not_chosen_from(state, tmp_path):
    both = {f"{who}.{name}": v for who in ("student", "teacher") for name, v in state.items()}
    torch.save(both, tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match=r"holds 2 SAMs, under the prefixes 'student\.', 'teacher\.'"):
        load_sam(str(tmp_path / "sam.pth"))


@pytest.mark.parametrize("name", ["sam.safetensors", "sam.pth", "sam"])
def test_official_weights_as_safetensors_by_any_name(state, tiny_sam, tmp_path, name):
    save_file(state, tmp_path / name)
    assert load_sam(str(tmp_path / name)).sha256 == tiny_sam.sha256


def test_the_weights_of_a_folder_of_the_library_by_themselves(tiny_sam, tmp_path):
    tiny_sam.model.save_pretrained(tmp_path)
    sam = load_sam(str(tmp_path / "model.safetensors"))
    assert sam.sha256 == tiny_sam.sha256
    assert "names of the transformers library read as the official ones" in sam.notes
    stored = load_file(tmp_path / "model.safetensors")
    torch.save({f"model.{name}": v for name, v in stored.items()}, tmp_path / "sam.pth")
    assert load_sam(str(tmp_path / "sam.pth")).sha256 == tiny_sam.sha256


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_that_are_no_numbers_are_refused(state, tmp_path, value, suffix):
    name = "mask_decoder.iou_token.weight"
    broken = state | {name: torch.full_like(state[name], value)}
    path = tmp_path / f"sam.{suffix}"
    save_file(broken, path) if suffix == "safetensors" else torch.save(broken, path)
    with pytest.raises(CheckpointError, match=rf"1 of its {len(state)} parameters hold NaN or infinity \({name}\)"):
        load_sam(str(path))


def test_a_folder_of_the_library_with_weights_that_are_no_numbers(tiny_sam, tmp_path):
    tiny_sam.model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    stored["mask_decoder.iou_token.weight"][:] = torch.nan
    save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"hold NaN or infinity \(mask_decoder\.iou_token\.weight\)"):
        load_sam(str(tmp_path))
