"""A U-Net whose encoder was trained on ImageNet, and its recipe: the strongest plain network that we know of here.

The recipe was found by cross-validation on train rows. No test row took part in it.
"""

import math
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.augmentation import View
from promise_seg.images.geometry import shrink_mask
from promise_seg.learning.losses import mask_loss
from promise_seg.prompting.backbones.image_backbone import ImageBackbone

SIDE = 256
"""The default side of the input in pixels."""
SIDE_STEP = 32
"""Sides must be multiples of this, because the coarsest feature map has a cell for so many pixels."""
DECODER_WIDTHS = (128, 64, 48)
BATCH = 8
LEARNING_RATE = 1e-3
ENCODER_SHARE = 0.5
"""The learning rate of the encoder, as a share of that of the decoder."""
WARM_UP_STEPS = 20
OUTLINE_WEIGHT = 3.0
_NEAR_OUTLINE = 2
RECIPE: list[Any] = [BATCH, LEARNING_RATE, ENCODER_SHARE, WARM_UP_STEPS, OUTLINE_WEIGHT, 1]
"""The numbers that define the training; the last entry is the version of loss and views. Raise it when they change."""


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        layers += [nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class _Decoder(nn.Module):
    """A decoder from the coarsest map to the finest: enlarge, concatenate the next finer map, two convolutions."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        below, *skips = reversed(widths)
        self.scales = nn.ModuleList()
        for skip, outputs in zip(skips, DECODER_WIDTHS, strict=True):
            self.scales.append(_convolutions(below + skip, outputs))
            below = outputs
        self.head = nn.Conv2d(below, 1, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x, *skips = reversed(maps)
        for scale, skip in zip(self.scales, skips, strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = scale(torch.cat([x, skip], 1))
        found: Tensor = self.head(x)[:, 0]
        return found


class PretrainedUnet(nn.Module):
    """The U-Net: images (B, S, S, 3) RGB in [0, 255] to logits (B, S / 4, S / 4) over the whole frame.

    The batch norms of the encoder keep the statistics of ImageNet; their weights learn as all others do. All is in the
    memory format ``channels_last``, which takes half the time on CPUs.

    Args:
        encoder: a network with feature maps at a quarter to a 32nd of the side.
    """

    def __init__(self, encoder: ImageBackbone) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, _Decoder(encoder.widths)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.decoder(self.encoder(images))
        return found

    def train(self, mode: bool = True) -> Self:
        """Put the decoder into training mode; the encoder stays in evaluation mode, for its batch norms."""
        super().train(mode)
        self.encoder.eval()
        return self


def random_view(rng: np.random.Generator) -> View:
    """Draw a view: rotated by up to 45 degrees, zoomed, shifted, flipped, with other colours, sometimes blurred."""
    return View(
        angle=float(rng.uniform(-45, 45)),
        scale=float(np.exp(rng.uniform(math.log(0.75), math.log(1.4)))),
        shift_x=float(rng.uniform(-0.1, 0.1)),
        shift_y=float(rng.uniform(-0.1, 0.1)),
        flip_x=bool(rng.random() < 0.5),
        flip_y=bool(rng.random() < 0.5),
        contrast=float(rng.uniform(0.75, 1.3)),
        brightness=float(rng.uniform(-20, 20)),
        hue=tuple(float(v) for v in rng.uniform(0.88, 1.12, 3)),  # type: ignore[arg-type]  # three of them
        saturation=float(rng.uniform(0.7, 1.3)),
        gamma=float(rng.uniform(0.8, 1.25)),
        blur=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.2 else 0.0,
    )


def outline_loss(mask_logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, weighted three times within two cells of the outline, plus soft Dice loss: a scalar.

    The target of a cell is the share of foreground in it. Shape: logits (B, h, h), masks (B, S, S) in {0, 1}.
    """
    target = shrink_mask(masks, mask_logits.shape[-1])
    window = 2 * _NEAR_OUTLINE + 1
    highest, lowest = (F.max_pool2d(sign * target, window, 1, _NEAR_OUTLINE) for sign in (1, -1))
    weight = torch.where(highest + lowest >= 0.5, OUTLINE_WEIGHT, 1.0)  # lowest is negative
    bce = F.binary_cross_entropy_with_logits(mask_logits, target, reduction="none")
    weighted = (weight * bce).sum((-2, -1)) / weight.sum((-2, -1))
    return (weighted + mask_loss(mask_logits, target, bce_weight=0.0)).mean()
