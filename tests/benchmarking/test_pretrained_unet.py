"""The U-Net with a pretrained encoder: what is frozen, what learns, and what it is trained on."""

import numpy as np
import pytest
import torch

from promise_seg.benchmarking.pretrained_unet import PretrainedUnet
from promise_seg.benchmarking.unet_kinds import PretrainedKind
from promise_seg.prompting.backbones.loading import empty_backbone
from promise_seg.vocabulary import Recipe


@pytest.fixture
def kind():
    return PretrainedKind(64, Recipe.OWN)


def an_image(side=64):
    return torch.randint(0, 256, (2, side, side, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_logits_are_at_a_quarter_of_the_side(kind):
    assert kind.logits(kind.start(), an_image()).shape == (2, 1, 16, 16)


def test_to_tell_objects_apart_there_is_a_map_of_depths_and_both_are_at_half_of_the_side():
    kind = PretrainedKind(64, Recipe.OWN, separates=True)
    unet = kind.start()
    assert kind.logits(unet, an_image()).shape == (2, 2, 32, 32)
    assert kind.predict(unet, an_image()[0]).shape == (2, 32, 32)
    targets = torch.zeros(2, 2, 64, 64)
    targets[:, 0, 8:40, 8:40] = 1
    flat = kind.loss(kind.logits(unet, an_image()), targets)
    targets[:, 1, 16:32, 16:32] = 1
    loss = kind.loss(kind.logits(unet, an_image()), targets)
    assert loss != flat
    loss.backward()
    assert all(p.grad is not None for p in unet.decoder.parameters())


def test_it_starts_from_the_published_weights_and_not_from_random_ones(kind):
    started, empty = kind.start(), kind.empty()
    assert not torch.equal(started.encoder.net.stem.conv.weight, empty.encoder.net.stem.conv.weight)
    assert float(started.encoder.net.stem.norm.running_var.std()) > 0


def test_statistics_of_the_encoder_stay_and_all_weights_learn(kind):
    unet = kind.start()
    unet.train()
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    optimizer = torch.optim.SGD(kind.groups(unet), lr=0.1)
    masks = torch.zeros(2, 1, 64, 64)
    masks[:, :, 16:40, 20:44] = 1
    kind.loss(kind.logits(unet, an_image()), masks).backward()
    optimizer.step()
    for name, value in unet.state_dict().items():
        frozen = name.startswith("encoder") and ("running" in name or "num_batches" in name)
        assert torch.equal(value, before[name]) == frozen, name


def test_the_encoder_learns_half_as_fast_and_both_end_at_nothing(kind):
    decoder, encoder = kind.rates(0.3, 100)
    assert encoder == pytest.approx(decoder / 2)
    assert kind.rates(0.0, 0)[0] < kind.rates(0.0, 10)[0] < kind.rates(0.0, 30)[0] == pytest.approx(1e-3)
    assert kind.rates(1.0, 1000) == [0.0, 0.0]


def test_batches_are_nearly_equal_and_hold_each_image_once(kind):
    batches = kind.batches(np.arange(17)[::-1])
    assert [len(batch) for batch in batches] == [6, 6, 5]
    assert sorted(np.concatenate(batches)) == list(range(17))


def test_each_epoch_and_seed_draws_another_view_and_the_same_again(kind):
    views = [kind.view("ab" * 32, seed, epoch) for seed in (0, 1) for epoch in (1, 2)]
    assert len({view.angle for view in views}) == 4
    assert kind.view("ab" * 32, 1, 2) == views[3]


def test_predictions_of_a_mirrored_image_are_mirrored(kind):
    """A mean over an image and two mirror images is not symmetric itself: its parts must be put back in place."""

    def brightness(unet, images):
        return images[..., 0].float()[:, None]

    kind.logits = brightness
    image = an_image()[0]
    assert torch.allclose(kind.predict(None, image), image[None, ..., 0].float())


def test_errors_near_the_outline_weigh_three_times(kind):
    masks = torch.zeros(1, 1, 64, 64)
    masks[..., :32] = 1  # in cells: the left 8 of 16 columns
    certain = torch.where(torch.nn.functional.avg_pool2d(masks, 4) > 0.5, 9.0, -9.0)

    def wrong_at(column):
        logits = certain.clone()
        logits[..., 5, column] *= -1
        return kind.loss(logits, masks) - kind.loss(certain, masks)

    far, edge = wrong_at(1), wrong_at(6)
    dice = wrong_at(1) - 9 / (16 * 16)  # what is left without the cross-entropy, which is a mean over all cells
    assert (edge - dice) / (far - dice) == pytest.approx(3, rel=0.02)
    assert wrong_at(5) == pytest.approx(float(far), rel=0.01)  # three cells away


def test_without_an_outline_the_loss_is_finite(kind):
    for masks in (torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)):
        assert torch.isfinite(kind.loss(torch.zeros(1, 1, 8, 8), masks))


def test_all_weights_are_in_channels_last():
    unet = PretrainedUnet(empty_backbone("efficientnet-lite0", None))
    weights = [value for value in unet.parameters() if value.ndim == 4]
    assert all(value.is_contiguous(memory_format=torch.channels_last) for value in weights)
