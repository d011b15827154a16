import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from promise_seg.checkpoint import load_checkpoint, save_checkpoint
from promise_seg.errors import CheckpointError
from promise_seg.storage.sealed import opened
from promise_seg.vocabulary import ApmKind, Variant
from tests.helpers import make_model, make_tiny_sam, some_points


@pytest.mark.parametrize("apm", list(ApmKind))
@pytest.mark.parametrize("variant", [Variant.APM, Variant.IPS, Variant.APM_IPS])
def test_what_is_loaded_predicts_what_was_saved(variant, apm, tiny_sam, images, tmp_path):
    model = make_model(tiny_sam, variant, apm).train()
    model(model.encode(images), some_points(count=16))  # moves batch norm statistics
    if model.ips:
        torch.nn.init.normal_(model.ips.lin2.weight)
    save_checkpoint(model.eval(), tmp_path / "c")
    again = load_checkpoint(tmp_path / "c", tiny_sam)
    features = model.encode(images)
    prompts = some_points() if variant == Variant.IPS else model.propose(features)
    assert torch.equal(again.decode(features, prompts).mask_logits, model.decode(features, prompts).mask_logits)
    if variant != Variant.IPS:
        assert torch.equal(again.propose(features).points_xy_model, prompts.points_xy_model)


def test_it_holds_no_weight_of_sam(tiny_sam, tmp_path):
    save_checkpoint(make_model(tiny_sam), tmp_path / "c")
    assert {name.split(".")[0] for name in load_file(tmp_path / "c/model.safetensors")} == {"apm", "ips"}
    config = json.loads((tmp_path / "c/config.json").read_text())
    assert config["sam_sha256"] == tiny_sam.sha256
    assert config["format_version"] == 2


def test_another_sam_is_refused_and_both_are_named(tiny_sam, tmp_path):
    save_checkpoint(make_model(tiny_sam), tmp_path / "c")
    other = make_tiny_sam(seed=7)
    with pytest.raises(CheckpointError, match=f"tiny-0.*{tiny_sam.sha256[:12]}.*tiny-7.*{other.sha256[:12]}"):
        load_checkpoint(tmp_path / "c", other)


def test_missing_unexpected_and_misshapen_keys_are_named(tiny_sam, tmp_path):
    save_checkpoint(make_model(tiny_sam, Variant.IPS), tmp_path / "c")
    path = tmp_path / "c/model.safetensors"
    state = load_file(path)
    state["ips.other"] = state.pop("ips.lin1.bias")
    state["ips.lin2.bias"] = torch.zeros(3)
    save_file(state, path)
    with pytest.raises(
        CheckpointError,
        match=r"1 missing: ips\.lin1\.bias; 1 unexpected: ips\.other; .*lin2\.bias is \(3,\), expected \(64,\)",
    ):
        load_checkpoint(tmp_path / "c", tiny_sam)


def damage_version(config):
    config["format_version"] = 99


def damage_unknown(config):
    config["surprise"] = 1


def damage_variant(config):
    config["variant"] = "other"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_version, "format 99"),
        (damage_unknown, r"surprise: unknown key; expected one of apm, .*, variant"),
        (damage_variant, "variant: expected sam, apm, ips or apm"),
    ],
)
def test_a_config_from_elsewhere_is_refused(tiny_sam, tmp_path, damage, message):
    save_checkpoint(make_model(tiny_sam), tmp_path / "c")
    path = tmp_path / "c/config.json"
    config = opened(json.loads(path.read_text()))
    damage(config)
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "c", tiny_sam)


def test_damaged_files(tiny_sam, tmp_path):
    save_checkpoint(make_model(tiny_sam), tmp_path / "c")
    weights = tmp_path / "c/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        load_checkpoint(tmp_path / "c", tiny_sam)
    (tmp_path / "c/config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        load_checkpoint(tmp_path / "c", tiny_sam)
    with pytest.raises(CheckpointError, match="contains no checkpoint"):
        load_checkpoint(tmp_path / "nothing", tiny_sam)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\nsize 9\n", r"model\.safetensors: .*Git LFS.*git lfs pull"),
        (b"<html>Not found</html>", r"model\.safetensors: .*a web page"),
        (b"\x80\x02}q\0.", r"model\.safetensors: is not a safetensors file"),
    ],
)
def test_weights_that_are_something_else(tiny_sam, tmp_path, content, message):
    save_checkpoint(make_model(tiny_sam), tmp_path / "c")
    (tmp_path / "c/model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "c", tiny_sam)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_trained_weights_that_are_no_numbers(tiny_sam, tmp_path, value):
    save_checkpoint(make_model(tiny_sam), tmp_path / "c")
    weights = tmp_path / "c/model.safetensors"
    state = load_file(weights)
    next(v for v in state.values() if v.is_floating_point()).fill_(value)
    save_file(state, weights)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: 1 of its \d+ parameters hold NaN or infinity"):
        load_checkpoint(tmp_path / "c", tiny_sam)


def test_a_checkpoint_that_a_killed_process_moved_aside_is_found_again(tiny_sam, tmp_path):
    for folder in (tmp_path / "run" / "best", tmp_path / "alone"):
        save_checkpoint(make_model(tiny_sam), folder)
        folder.rename(folder.with_name(f".{folder.name}.0123abcd.old~"))
    assert load_checkpoint(tmp_path / "run", tiny_sam).sha256() == make_model(tiny_sam).sha256()
    assert load_checkpoint(tmp_path / "alone", tiny_sam).sha256() == make_model(tiny_sam).sha256()
