"""The weights that ``pretrained`` starts from: where they are used, and that they are worth it."""

import numpy as np
import pytest
import torch

from promise_seg.prompting.apm import IMAGE
from promise_seg.prompting.apm_pretrained import MAPS, PretrainedConfig
from promise_seg.prompting.scene_weights import SCENE_WEIGHTS, save_scene_weights
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.scenes import MEDICAL_KINDS, draw_scene
from promise_seg.storage.tensor_files import load_tensors
from promise_seg.vocabulary import Recipe

SIZES = FeatureSizes(side=128, grid=16, embedding_channels=128, stage_channels=(160,) * 4, num_heads=5)
NEW = PretrainedConfig.options_of_new_runs(Recipe.OWN)


def started(**options):
    torch.manual_seed(0)
    apm = PretrainedConfig(side=256, **NEW | options).completed().build(SIZES)
    apm.load_pretrained_weights()
    return apm.eval()


@pytest.fixture(scope="module")
def begun():
    return started()


@torch.no_grad()
def mean_dice(apm, kind, count=4):
    """Of the saliency alone, on scenes of a seed that nothing was trained on."""
    dice = []
    for number in range(count):
        scene = draw_scene([4, number], 256, kind)
        saliency = apm.outputs(Features({IMAGE: torch.from_numpy(scene.image)[None]}))[MAPS][0, 0].numpy() > 0
        mask = scene.instances[::2, ::2] > 0
        dice.append(2 * (saliency & mask).sum() / max(saliency.sum() + mask.sum(), 1))
    return float(np.mean(dice))


@pytest.mark.parametrize("kind", MEDICAL_KINDS)
def test_they_segment_drawn_scenes_before_any_training(begun, kind):
    assert mean_dice(begun, kind) > 0.6


def test_they_give_all_but_what_depends_on_the_sam_and_on_images_without_an_object(begun):
    other = started(start="imagenet")
    differ = {name for name, value in begun.state_dict().items() if not torch.equal(value, other.state_dict()[name])}
    parameters = {name for name, _ in begun.named_parameters()}
    apart = {name for name in parameters if name.startswith(("decoder.from_sam.", "decoder.presence."))}
    assert apart
    assert not differ & apart
    assert {name.split(".")[0] for name in differ} == {"backbone", "decoder"}
    assert {name.split(".")[1] for name in differ if name.startswith("decoder")} == {"scales", "outlines", "out"}
    assert differ <= parameters, "the statistics of the norms stay as they were"


@pytest.mark.parametrize(
    "options", [{"map_stride": 4}, {"map_norm": "group"}, {"frozen": True}, {"start": "imagenet"}],
)  # fmt: skip
def test_where_they_do_not_fit_training_starts_from_the_backbone_alone(options):
    config = PretrainedConfig(side=64, **NEW | options).completed()
    assert config.start == "imagenet"
    assert not config.build(SIZES).starts_from_scenes


def test_configs_of_before_have_no_word_on_them_and_mean_the_backbone_alone():
    assert PretrainedConfig().start == "imagenet"
    assert NEW["start"] == "scenes"
    assert PretrainedConfig(side=64, **NEW).completed().start == "scenes"


def test_weights_of_a_model_come_back_from_a_file_in_half_precision(begun, tmp_path):
    state = {f"apm.{name}": value for name, value in begun.state_dict().items()} | {"ips.x": torch.zeros(1)}
    save_scene_weights(state, tmp_path / "weights.safetensors")
    again, shipped = (load_tensors(path).tensors for path in (tmp_path / "weights.safetensors", SCENE_WEIGHTS))
    assert {value.dtype for value in again.values()} == {torch.float16}
    assert again.keys() == shipped.keys()
    assert all(torch.equal(value, shipped[name]) for name, value in again.items())
