import pytest
import torch

from promise_seg.checkpoint import load_checkpoint, save_checkpoint
from promise_seg.compat.matching_sam import find_sam
from promise_seg.compat.reference import read_reference
from promise_seg.compat.reference_writing import to_reference
from promise_seg.errors import CheckpointError
from promise_seg.model import SAM_BESIDE
from promise_seg.sam.backbone import weights_sha256
from promise_seg.vocabulary import ApmKind, TrainAlso, Variant
from tests.helpers import REFERENCE_VARIANTS, make_model, reference_state_of

BIGGEST = (Variant.APM_IPS, ApmKind.RESNET)
"""Both of its parts are in smaller ones too."""


@pytest.mark.parametrize(
    ("variant", "apm"),
    [pytest.param(*kind, marks=[pytest.mark.slow] if kind == BIGGEST else []) for kind in REFERENCE_VARIANTS],
)
@pytest.mark.parametrize("beside", [True, False])
def test_native_to_reference_to_native_gives_the_same_bytes(variant, apm, beside, tmp_path, tiny_sam):
    tiny_sam.model.save_pretrained(tmp_path / "sam")
    model = make_model(tiny_sam, variant, apm)
    name = SAM_BESIDE if beside else str(tmp_path / "sam")
    model.config = model.config.model_copy(update={"sam": name, "mask_choice": "2", "promise_seg_version": "0.0.7"})
    save_checkpoint(model, tmp_path / "before")
    notes = to_reference(load_checkpoint(tmp_path / "before"), tmp_path / "reference.pt")
    assert any("first mask" in note for note in notes)
    read = read_reference(tmp_path / "reference.pt")
    found = find_sam(read, None)
    if beside:
        assert found is None
        back = read.model(read.around_its_own_sam(), SAM_BESIDE)
    else:
        back = read.model(found[0], found[1])
    save_checkpoint(back, tmp_path / "after")
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "after" / file).read_bytes() == (tmp_path / "before" / file).read_bytes()
    assert load_checkpoint(tmp_path / "after").sam.sha256 == tiny_sam.sha256


def test_a_file_written_for_the_reference_has_its_names(tmp_path, tiny_sam):
    model = make_model(tiny_sam, Variant.APM_IPS, ApmKind.RESNET)
    to_reference(model, tmp_path / "out.pt")
    state = torch.load(tmp_path / "out.pt", weights_only=True)
    theirs = reference_state_of(tiny_sam, Variant.APM_IPS, ApmKind.RESNET, num_points=16)
    unused = {k for k in theirs if ".fc2." in k}
    assert state.keys() - {"promise_seg.config"} == theirs.keys() - unused
    assert all(state[k].shape == theirs[k].shape for k in theirs.keys() - unused)


def test_the_reference_s_parts_trained_by_us_come_back_too(tmp_path, tiny_sam):
    tiny_sam.model.save_pretrained(tmp_path / "sam")
    model = make_model(tiny_sam, Variant.IPS)
    config = model.config.model_copy(update={"sam": str(tmp_path / "sam"), "train_also": TrainAlso.DECODER})
    tuned = type(model)(config, tiny_sam)
    with torch.no_grad():
        tuned.sam.model.mask_decoder.iou_token.weight += 1
    to_reference(tuned, tmp_path / "reference.pt")
    read = read_reference(tmp_path / "reference.pt")
    sam, name, _ = find_sam(read, None)
    back = read.model(sam, name)
    assert back.config == config
    assert weights_sha256(back.sam.model) == weights_sha256(tuned.sam.model)


def test_what_the_reference_cannot_hold_is_refused(tmp_path, tiny_sam):
    with pytest.raises(CheckpointError, match="no APM heatmap"):
        to_reference(make_model(tiny_sam), tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()
