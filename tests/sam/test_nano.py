import pytest
import torch

from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.loading import load_sam
from promise_seg.sam.nano import NANO_WEIGHTS, nano_config, untrained_nano


def test_it_has_4_7_million_parameters_in_twelve_blocks():
    model = untrained_nano()
    assert sum(p.numel() for p in model.parameters()) == 4_711_392
    assert len(model.vision_encoder.layers) == 12
    assert (nano_config().vision_config.image_size, nano_config().vision_config.patch_size) == (128, 8)


def test_untrained_weights_can_be_trained_from():
    """The library's own initialisation has a spread of 1e-10, which gives the same mask whatever is asked."""
    sam = FrozenSam(untrained_nano(), "untrained")
    features = sam.encode(torch.randint(0, 256, (2, 128, 128, 3)))
    assert features.embedding.std() > 0.1
    assert (features.embedding[0] - features.embedding[1]).abs().max() > 0.1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights():
    assert FrozenSam(untrained_nano(5), "").sha256 == FrozenSam(untrained_nano(5), "").sha256
    assert FrozenSam(untrained_nano(5), "").sha256 != FrozenSam(untrained_nano(6), "").sha256


def test_packaged_weights_are_small_and_load():
    assert NANO_WEIGHTS.stat().st_size <= 16 * 2**20
    assert load_sam("nano").image_size == 128


@pytest.mark.slow
def test_packaged_weights_reach_what_the_model_card_says():
    from promise_seg.learning.scene_scores import score_on_scenes
    from promise_seg.scenes import draw_scene

    class Drawn:
        """Scenes of a stream that training never used."""

        def __len__(self):
            return 64

        def __getitem__(self, index):
            scene = draw_scene([1, index])
            return scene.image, scene.instances

    scores = score_on_scenes(load_sam("nano"), Drawn())
    assert scores["16 points"] > 0.80
    assert scores["box"] > 0.82
    assert scores["1 point"] > 0.55
