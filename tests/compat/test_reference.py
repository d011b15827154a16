"""Checkpoints of the published code: read exactly, refused with the right words, and written back."""

import numpy as np
import pytest
import torch

from promise_seg.checkpoint import load_checkpoint
from promise_seg.compat.reference import load_reference, read_reference
from promise_seg.errors import CheckpointError
from promise_seg.prompting.building import make_apm_config
from promise_seg.sam.official import official_state
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import ApmKind, Protocol, Variant
from tests.helpers import REFERENCE_VARIANTS

# The reference's own outputs, with its names, shapes and stand-in weights


@pytest.fixture
def golden_file(golden_state, tmp_path):
    def write(name):
        path = tmp_path / f"{name}.pt"
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
    assert (config.variant, config.apm and config.apm.kind, config.mask_choice) == (variant, apm, "0")
    assert (config.fit, config.reading.crop_border) == ("square", True)
    counts = config.apm or config.oracle
    assert (counts.num_points, counts.num_foreground, config.image_size) == (16, 8, 1024)
    assert model.sam.sha256 == golden_sam[0].sha256
    features = golden_sam[1]
    np.testing.assert_allclose(features.embedding[0, ::8, ::8, ::8].numpy(), expected["embedding"], atol=1e-3)
    stages = features.tensors["stages"][0, :, ::8, ::8, ::16].numpy()
    np.testing.assert_allclose(stages[3], expected["block12"], atol=1e-3)
    np.testing.assert_allclose(stages[1], expected["block6"], atol=1e-3)
    with torch.no_grad():
        if model.apm is None:
            points_xy_model, labels = (torch.from_numpy(expected[k])[None, None] for k in ("points_xy", "labels"))
            prompts = Prompts(points_xy_model=points_xy_model, point_labels=labels)
        else:
            proposal = model.propose(features)
            within = 0.05 if name == "apm_resnet" else 0.1
            np.testing.assert_allclose(proposal.points_xy_model[0, 0].numpy(), expected["points_xy"], atol=within)
            np.testing.assert_array_equal(proposal.point_labels[0, 0].numpy(), expected["labels"])
            prompts = proposal
        decoded = model.decode(features, prompts)
    mask_probs = decoded.mask_logits[0, 0].sigmoid().numpy()
    np.testing.assert_allclose(mask_probs[:, ::4, ::4], expected["mask_probs"], atol=2e-3)
    np.testing.assert_allclose(mask_probs[0], expected["mask_probs_first"].astype(np.float32), atol=2e-3)
    np.testing.assert_allclose(decoded.iou[0, 0].numpy(), expected["iou"], atol=2e-3)


# Reading


@pytest.mark.parametrize(("variant", "apm"), REFERENCE_VARIANTS)
def test_the_variant_is_read_off_names_and_shapes(variant, apm, written, tiny_sam):
    path = written(variant, apm)
    read = read_reference(path)
    model = load_reference(path)
    assert model.config.variant == variant
    if variant == Variant.IPS:
        assert model.apm is None
    else:
        assert model.config.apm == make_apm_config(apm, Protocol.REFERENCE, num_points=6, num_foreground=3)
        assert any("never uses left out" in note for note in read.notes)
    state = torch.load(path, weights_only=True)
    trained = {k for k in state if k.startswith(("apm_", "ips_")) and ".fc2." not in k and ".norm2." not in k}
    assert len(model.trainable_state()) == len(trained)


@pytest.mark.slow
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
        (drop("apm_resnet.fc.weight"), "1 missing: apm_resnet.fc.weight, whose shape defines"),
        (drop("ips_ffn.lin2.bias"), "1 missing: ips_ffn.lin2.bias"),
        (drop("mask_decoder.iou_token.weight"), "1 missing: mask_decoder.iou_token.weight"),
        (put("apm_resnet.extra", torch.ones(1)), "1 unexpected: apm_resnet.extra"),
        (put("something.else", torch.ones(1)), "1 unexpected: something.else"),
        (put("apm_resnet.bn1.weight", torch.ones(3)), r"apm_resnet.bn1.weight is \(3,\), expected \(64,\)"),
        (put("apm_cross.query_feat.weight", torch.ones(6, 16)), "two auto-prompting modules"),
        (lambda s: {k: v for k, v in s.items() if not k.startswith(("apm_", "ips_"))}, "only a SAM"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, words, written):
    with pytest.raises(CheckpointError, match=words):
        load_reference(written(change=change))


def test_official_weights_alone_are_no_reference_checkpoint(tmp_path, tiny_sam):
    torch.save(official_state(tiny_sam.model), tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match="Pass a SAM with --sam"):
        load_checkpoint(tmp_path / "sam.pth")
