import pytest
import torch

from promise_seg.compat.matching_sam import find_sam
from promise_seg.compat.reference import read_reference
from promise_seg.compat.reference_writing import to_reference
from promise_seg.vocabulary import TrainAlso, Variant
from tests.helpers import make_model, make_tiny_sam


def test_a_given_sam_is_checked_and_named(written, tiny_sam, tmp_path):
    tiny_sam.model.save_pretrained(tmp_path / "sam")
    sam, name, notes = find_sam(read_reference(written()), str(tmp_path / "sam"))
    assert (sam.sha256, name) == (tiny_sam.sha256, str(tmp_path / "sam"))
    assert notes == (f"its SAM is {tmp_path / 'sam'}",)


def test_trained_parts_of_sam_are_told_from_a_given_one(written, tiny_sam, tmp_path):
    tiny_sam.model.save_pretrained(tmp_path / "sam")

    def tune(state):
        return state | {"mask_decoder.mask_tokens.weight": state["mask_decoder.mask_tokens.weight"] + 1}

    read = read_reference(written(change=tune))
    sam, name, notes = find_sam(read, str(tmp_path / "sam"))
    assert "with trained parts: decoder" in notes[0]
    model = read.model(sam, name)
    assert model.config.train_also == TrainAlso.DECODER
    assert torch.equal(model.sam.model.mask_decoder.mask_tokens.weight, read.sam.mask_decoder.mask_tokens.weight)
    assert not any(k.startswith("sam.model.vision_encoder") for k in model.trainable_state())


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
def test_a_rounded_sam_is_recognised_and_gets_its_own_values_back(dtype, written, tiny_sam, tmp_path):
    tiny_sam.model.save_pretrained(tmp_path / "sam")
    read = read_reference(
        written(change=lambda s: {k: v.to(dtype) if v.is_floating_point() else v for k, v in s.items()})
    )
    sam, name, notes = find_sam(read, str(tmp_path / "sam"))
    assert "trained parts" not in notes[0]
    assert read.model(sam, name).config.train_also == TrainAlso.NONE


def test_a_sam_of_ours_is_found_by_its_hash_not_by_what_would_fit(tmp_path, tiny_sam, monkeypatch):
    """A model whose SAM learned entirely could stand on any other of that size: only its own will do."""
    model = make_model(tiny_sam, Variant.IPS)
    config = model.config.model_copy(update={"sam": "gone", "train_also": TrainAlso.EVERYTHING})
    to_reference(type(model)(config, tiny_sam), tmp_path / "reference.pt")
    monkeypatch.setattr("promise_seg.compat.matching_sam.sam_path", lambda _name: tmp_path)
    monkeypatch.setattr("promise_seg.compat.matching_sam.load_sam", lambda *_args, **_more: make_tiny_sam(7))
    read = read_reference(tmp_path / "reference.pt")
    assert find_sam(read, None) is None
    monkeypatch.setattr("promise_seg.compat.matching_sam.load_sam", lambda *_args, **_more: tiny_sam)
    sam, name, _ = find_sam(read, None)
    assert (name, read.model(sam, name).config) == ("gone", config)


def test_without_a_known_sam_there_is_none(written):
    assert find_sam(read_reference(written()), None) is None
