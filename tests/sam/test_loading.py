import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import SamModel

from promise_seg.errors import CheckpointError
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.loading import load_sam
from promise_seg.sam.nano import NANO_WEIGHTS
from promise_seg.sam.tuned import TunedSam
from promise_seg.vocabulary import TrainAlso
from tests.helpers import make_tiny_sam, tiny_config


def test_a_folder_of_the_library_loads_with_the_same_weights(tmp_path):
    sam = make_tiny_sam()
    sam.model.save_pretrained(tmp_path)
    assert load_sam(str(tmp_path)).sha256 == sam.sha256


@pytest.mark.parametrize("kind", ["nano", "folder"])
def test_loading_takes_none_of_the_caller_s_random_numbers(kind, tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    load_sam("nano" if kind == "nano" else str(tmp_path))
    assert torch.equal(torch.rand(3), expected)


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


@pytest.mark.parametrize(("name", "meant"), [("nowhere", ""), ("sam_vit_bb", r" Did you mean sam_vit_b\?")])
def test_a_word_that_is_no_sam_is_refused_before_the_hub_is_asked(name, meant, monkeypatch):
    def asked(_):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("promise_seg.sam.folders.find_model", asked)
    with pytest.raises(CheckpointError, match=f"{name}: no SAM of that name, and no such folder.{meant} Expected"):
        load_sam(name)


def test_a_network_that_is_down_is_not_asked_again_and_again_and_the_message_says_why(monkeypatch):
    asked = []

    def refuse(host, *_, **__):
        asked.append(host)
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("promise_seg.hub._remembered", None)
    with pytest.raises(CheckpointError, match=r"no model of that name was downloaded before.* no network") as raised:
        load_sam("no/such-sam")
    assert 1 <= len(asked) <= 2  # by whoever asks: the library alone tries six times, and has a question of its own
    assert raised.value.__cause__ is not None
    assert "no network" in str(raised.value.__cause__)


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
    with pytest.raises(CheckpointError, match=r"mine\.safetensors: cannot be read: .*Copy it again"):
        load_sam(str(path))


def test_what_is_loaded_is_frozen():
    sam = load_sam("nano")
    assert isinstance(sam, FrozenSam)
    assert not any(p.requires_grad for p in sam.parameters())


def test_a_pruned_sam_with_narrow_blocks_loads(tmp_path):
    """As SlimSAM: the library's class with other widths."""
    config = tiny_config()
    config.vision_config.hidden_size, config.vision_config.mlp_dim = 12, 20
    model = SamModel(config)
    model.save_pretrained(tmp_path)
    sam = load_sam(str(tmp_path))
    assert sam.sizes.stage_channels == (12, 12, 12, 12)
    assert sam.encode(torch.zeros(1, 32, 32, 3)).stage(3).shape[-1] == 12


def test_a_folder_with_a_parameter_of_another_shape_names_it(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state["mask_decoder.iou_token.weight"] = torch.ones(2, 16)
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"iou_token.weight is \(2, 16\), expected \(1, 16\)"):
        load_sam(str(tmp_path))


def test_a_truncated_folder_is_one_clear_line(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="damaged or not a SAM"):
        load_sam(str(tmp_path))


def test_a_folder_in_half_precision_is_used_in_single(tmp_path):
    make_tiny_sam().model.half().save_pretrained(tmp_path)
    sam = load_sam(str(tmp_path))
    assert sam.encode(torch.zeros(1, 32, 32, 3)).embedding.dtype == torch.float32


def test_the_size_that_it_was_trained_at_is_kept(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path)
    for size, notes in ((None, 0), (32, 0), (48, 1)):
        sam = load_sam(str(tmp_path), image_size=size)
        assert (sam.trained_at, sam.image_size, len(sam.notes)) == (32, size or 32, notes)
        assert TunedSam(sam, TrainAlso.DECODER).trained_at == 32
