"""Checkpoints of the published code: read exactly, refused with the right words, and written back."""

import numpy as np
import pytest
import torch

from promise_seg.checkpoint import load_checkpoint, save_checkpoint
from promise_seg.compat.official_sam import official_state
from promise_seg.compat.reference import find_sam, load_reference, parts_that_differ, read_reference, to_reference
from promise_seg.errors import CheckpointError
from promise_seg.model import SAM_BESIDE, Variant
from promise_seg.prompting.apm import ApmKind, PositionCode
from promise_seg.prompting.prompts import Prompts
from promise_seg.sam.frozen import weights_sha256
from promise_seg.sam.tuned import TrainAlso
from tests.helpers import make_model, make_tiny_sam, reference_state_of

VARIANTS = [
    (Variant.APM, ApmKind.RESNET),
    (Variant.APM, ApmKind.CROSS),
    (Variant.IPS, ApmKind.RESNET),
    (Variant.APM_IPS, ApmKind.RESNET),
    (Variant.APM_IPS, ApmKind.CROSS),
]


@pytest.fixture
def written(tiny_sam, tmp_path):
    def write(variant=Variant.APM_IPS, apm=ApmKind.RESNET, change=lambda state: state):
        path = tmp_path / "reference.pt"
        torch.save(change(reference_state_of(tiny_sam, variant, apm)), path)
        return path

    return write


# The reference's own outputs, with its names, shapes and stand-in weights


@pytest.fixture(scope="module")
def golden_file(golden_state, tmp_path_factory):
    def write(name):
        path = tmp_path_factory.mktemp("golden") / f"{name}.pt"
        torch.save(golden_state(name), path)
        return path

    return write


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variant", "apm"),
    [
        ("apm_resnet", Variant.APM, ApmKind.RESNET),
        ("apm_cross", Variant.APM, ApmKind.CROSS),
        ("ips_gt", Variant.IPS, None),
        ("apm_ips_resnet", Variant.APM_IPS, ApmKind.RESNET),
    ],
)
def test_a_file_with_the_reference_s_weights_gives_its_outputs(name, variant, apm, golden_file, golden, golden_sam):
    expected = np.load(golden / f"{name}.npz")
    model = load_reference(golden_file(name))
    config = model.config
    assert (config.variant, config.apm, config.mask_choice, config.fit) == (variant, apm, "0", "stretch")
    assert (config.num_points, config.num_foreground, config.image_size) == (16, 8, 1024)
    assert model.sam.sha256 == golden_sam[0].sha256
    features = golden_sam[1]
    np.testing.assert_allclose(features.embedding[0, ::8, ::8, ::8].numpy(), expected["embedding"], atol=1e-3)
    stages = features.stages[0, :, ::8, ::8, ::16].numpy()
    np.testing.assert_allclose(stages[3], expected["block12"], atol=1e-3)
    np.testing.assert_allclose(stages[1], expected["block6"], atol=1e-3)
    with torch.no_grad():
        if model.apm is None:
            points_xy, labels = (torch.from_numpy(expected[k])[None, None] for k in ("points_xy", "labels"))
            prompts = Prompts(points_xy=points_xy, point_labels=labels)
        else:
            proposal = model.propose(features)
            np.testing.assert_allclose(proposal.points_xy[0].numpy(), expected["points_xy"], atol=0.1)
            np.testing.assert_array_equal(proposal.point_labels[0].numpy(), expected["labels"])
            prompts = proposal.as_prompts()
        decoded = model.decode(features, prompts)
    mask_probs = decoded.mask_logits[0, 0].sigmoid().numpy()
    np.testing.assert_allclose(mask_probs[:, ::4, ::4], expected["mask_probs"], atol=2e-3)
    np.testing.assert_allclose(mask_probs[0], expected["mask_probs_first"].astype(np.float32), atol=2e-3)
    np.testing.assert_allclose(decoded.iou[0, 0].numpy(), expected["iou"], atol=2e-3)


# Reading


@pytest.mark.parametrize(("variant", "apm"), VARIANTS)
def test_the_variant_is_read_off_names_and_shapes(variant, apm, written, tiny_sam):
    path = written(variant, apm)
    read = read_reference(path)
    model = load_reference(path)
    assert model.config.variant == variant
    if variant == Variant.IPS:
        assert model.apm is None
    else:
        assert (model.config.apm, model.config.num_points, model.config.num_foreground) == (apm, 6, 3)
        assert (model.config.position_code == PositionCode.REFERENCE) == (apm == ApmKind.CROSS)
        assert any("never uses left out" in note for note in read.notes)
    state = torch.load(path, weights_only=True)
    trained = {k for k in state if k.startswith(("apm_", "ips_")) and ".fc2." not in k and ".norm2." not in k}
    assert len(model.trainable_state()) == len(trained)


def test_older_files_call_the_ips_ffn(written):
    new = load_reference(written())
    path = written(change=lambda s: {k.replace("ips_ffn.", "ffn."): v for k, v in s.items()})
    old = load_reference(path)
    assert "older names ffn" in " ".join(old.sam.notes)
    assert all(torch.equal(v, old.trainable_state()[k]) for k, v in new.trainable_state().items())


def test_data_parallel_and_half_precision_load_and_are_reported(written):
    path = written(change=lambda s: {f"module.{k}": v.half() if v.is_floating_point() else v for k, v in s.items()})
    notes = " ".join(load_reference(path).sam.notes)
    assert "DataParallel" in notes
    assert "float16" in notes


def drop(name):
    return lambda s: {k: v for k, v in s.items() if k != name}


def put(name, value):
    return lambda s: s | {name: value}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("apm_resnet.bn1.weight"), "1 missing: apm_resnet.bn1.weight"),
        (drop("apm_resnet.fc.weight"), "1 missing: apm_resnet.fc.weight, whose shape tells"),
        (drop("ips_ffn.lin2.bias"), "1 missing: ips_ffn.lin2.bias"),
        (drop("mask_decoder.iou_token.weight"), "1 missing: mask_decoder.iou_token.weight"),
        (put("apm_resnet.extra", torch.ones(1)), "1 unexpected: apm_resnet.extra"),
        (put("something.else", torch.ones(1)), "1 unexpected: something.else"),
        (put("apm_resnet.bn1.weight", torch.ones(3)), r"apm_resnet.bn1.weight is \(3,\), expected \(64,\)"),
        (put("apm_cross.query_feat.weight", torch.ones(6, 16)), "two auto-prompting modules"),
        (lambda s: {k: v for k, v in s.items() if not k.startswith(("apm_", "ips_"))}, "a SAM alone"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, words, written):
    with pytest.raises(CheckpointError, match=words):
        load_reference(written(change=change))


# Which SAM it stands on


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
    monkeypatch.setattr("promise_seg.compat.known_sams.sam_path", lambda _name: tmp_path)
    monkeypatch.setattr("promise_seg.sam.loading.load_sam", lambda *_args, **_more: make_tiny_sam(7))
    read = read_reference(tmp_path / "reference.pt")
    assert find_sam(read, None) is None
    monkeypatch.setattr("promise_seg.sam.loading.load_sam", lambda *_args, **_more: tiny_sam)
    sam, name, _ = find_sam(read, None)
    assert (name, read.model(sam, name).config) == ("gone", config)


def test_without_a_known_sam_there_is_none(written):
    assert find_sam(read_reference(written()), None) is None


def test_sams_of_other_sizes_or_position_codes_are_refused(tiny_sam):
    other = make_tiny_sam(3).model
    with pytest.raises(CheckpointError, match="codes positions otherwise"):
        parts_that_differ(tiny_sam.model, other)


# There and back


@pytest.mark.parametrize(("variant", "apm"), VARIANTS)
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


def test_official_weights_alone_are_no_reference_checkpoint(tmp_path, tiny_sam):
    torch.save(official_state(tiny_sam.model), tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match="given with --sam"):
        load_checkpoint(tmp_path / "sam.pth")
