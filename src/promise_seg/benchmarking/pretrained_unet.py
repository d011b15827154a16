"""A U-Net whose encoder was trained on ImageNet, and its recipe: the strongest plain network that we know.

The recipe was chosen by cross-validation on train rows, without any test rows.
"""

from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.prompting.backbones.image_backbone import ImageBackbone
from promise_seg.prompting.map_decoders import OUTLINE_CHANNELS, OUTLINE_STRIDE, Outlines, two_convolutions

SIDE = 256
"""The default side of the input in pixels."""
SIDE_STEP = 32
"""Sides must be multiples of this, the stride of the coarsest feature map in pixels."""
DECODER_WIDTHS = (128, 64, 48)
BATCH = 8
LEARNING_RATE = 1e-3
ENCODER_SHARE = 0.5
"""The learning rate of the encoder, as a share of the learning rate of the decoder."""
WARM_UP_STEPS = 20
EDGE_WEIGHT = 2.0
RECIPE: list[Any] = [BATCH, LEARNING_RATE, ENCODER_SHARE, WARM_UP_STEPS, EDGE_WEIGHT, 2]
"""The numbers that define the training; the last entry is the version of loss and views. Raise it when they change."""


class _Decoder(nn.Module):
    """A decoder from the coarsest map to the finest: enlarge, concatenate the next finer map, convolve twice.

    A ``fine`` decoder continues to half of the image's side, where it also gets the pixels, as the auto-prompter does.
    """

    def __init__(self, widths: tuple[int, ...], outputs: int, *, fine: bool) -> None:
        super().__init__()
        below, *skips = reversed(widths)
        self.scales = nn.ModuleList()
        for skip, width in zip(skips, DECODER_WIDTHS, strict=True):
            self.scales.append(two_convolutions(below + skip, width, nn.BatchNorm2d))
            below = width
        self.outlines = Outlines(below) if fine else None
        self.head = nn.Conv2d(OUTLINE_CHANNELS if fine else below, outputs, 1)

    def forward(self, maps: list[Tensor], images: Tensor) -> Tensor:
        x, *skips = reversed(maps)
        for scale, skip in zip(self.scales, skips, strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = scale(torch.cat([x, skip], 1))
        if self.outlines is not None:
            x = self.outlines(x, images, images.shape[1] // OUTLINE_STRIDE)
        found: Tensor = self.head(x)
        return found


class PretrainedUnet(nn.Module):
    """The U-Net: images (B, S, S, 3) RGB in [0, 255] to logits (B, outputs, S / 4, S / 4) over the whole frame.

    With ``fine``, the logits are (B, outputs, S / 2, S / 2). The batch norms of the encoder keep the statistics of
    ImageNet, but their weights are trained. The memory format is ``channels_last``, which halves the time on CPUs.

    Args:
        encoder: a network with feature maps at a quarter to a 32nd of the side.
        outputs: the number of output maps.
        fine: whether these maps have half of the side instead of a quarter.
    """

    def __init__(self, encoder: ImageBackbone, outputs: int = 1, *, fine: bool = False) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, _Decoder(encoder.widths, outputs, fine=fine)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.decoder(self.encoder(images), images)
        return found

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the decoder; the encoder stays in evaluation mode because of its batch norms."""
        super().train(mode)
        self.encoder.eval()
        return self
