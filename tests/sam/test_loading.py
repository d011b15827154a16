import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import SamModel

from promise_seg.errors import CheckpointError
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.loading import load_sam
from promise_seg.sam.nano import NANO_WEIGHTS
from tests.helpers import make_tiny_sam


def test_a_folder_of_the_library_loads_with_the_same_weights(tmp_path):
    sam = make_tiny_sam()
    sam.model.save_pretrained(tmp_path)
    assert load_sam(str(tmp_path)).sha256 == sam.sha256


def test_a_folder_with_missing_weights_is_refused(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["mask_decoder.iou_token.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"iou_token"):
        load_sam(str(tmp_path))


@pytest.mark.parametrize("source", ["no/such-sam", "/no/such/folder"])
def test_an_unknown_name_says_what_is_expected(source):
    with pytest.raises(CheckpointError, match="Expected nano"):
        load_sam(source)


def test_a_file_that_is_no_checkpoint(tmp_path):
    path = tmp_path / "sam.pth"
    path.write_text("not weights")
    with pytest.raises(CheckpointError, match=r"sam\.pth: cannot be read"):
        load_sam(str(path))


def test_a_state_dict_of_something_else(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="not an official SAM"):
        load_sam(str(path))


def test_nothing_but_tensors_is_unpickled(tmp_path):
    path = tmp_path / "evil.pth"
    torch.save({"weight": SamModel}, path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_sam(str(path))


def test_nano_weights_from_a_file(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(NANO_WEIGHTS.read_bytes())
    assert load_sam(str(path)).sha256 == load_sam("nano").sha256
    path.write_bytes(NANO_WEIGHTS.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="nano SAM"):
        load_sam(str(path))


def test_what_is_loaded_is_frozen():
    sam = load_sam("nano")
    assert isinstance(sam, FrozenSam)
    assert not any(p.requires_grad for p in sam.parameters())
