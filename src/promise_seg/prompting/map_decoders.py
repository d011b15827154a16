"""Decoders of the APM ``pretrained``, which turn the feature maps of its backbone into maps of the objects.

The fine decoder is the default of new models; the coarse decoder is that of earlier versions and of frozen backbones.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CHANNELS = 64
_WIDTHS = (128, 64, 48)  # channels of the fine decoder, from the second coarsest map to the finest
FINE_MAPS = 1 + len(_WIDTHS)
"""The number of feature maps that a fine decoder joins."""
OUTLINE_CHANNELS = 24
OUTLINE_STRIDE = 2
"""The stride of the fine maps, in pixels of the image."""


class TrunkFeatures(NamedTuple):
    """Features of images before the last layers: ``fused`` maps (B, C, h, h), and ``pooled`` ones (B, D).

    If they are ``mirrored``, the second half of the batch are the features of the flipped images of the first half.
    """

    fused: Tensor
    pooled: Tensor
    mirrored: bool = False


class MapDecoder(nn.Module, ABC):
    """Base class of decoders that turn the maps of a backbone, from the finest to the coarsest, into maps of objects.

    Args:
        widths: channels of the backbone's maps.
        embedding_channels: channels of SAM's embedding.
        outputs: number of maps of the objects.
    """

    out: nn.Conv2d
    presence: nn.Linear

    def forward(
        self, maps: Sequence[Tensor], embedding: Tensor | None, side: int, image: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return maps (B, outputs, side, side), and presence logits (B,); for the arguments see :meth:`trunk`."""
        return self.heads(self.trunk(maps, embedding, side, image))

    @abstractmethod
    def trunk(self, maps: Sequence[Tensor], embedding: Tensor | None, side: int, image: Tensor | None) -> TrunkFeatures:
        """Run all layers before the last ones.

        Args:
            maps: maps of the backbone, each (B, C, h, h).
            embedding: SAM's embedding (B, D, g, g), if it is known.
            side: side of the output maps.
            image: image (B, S, S, 3) RGB in [0, 255], if it is known.
        """

    def heads(self, features: TrunkFeatures) -> tuple[Tensor, Tensor]:
        """Run the last layers; see :meth:`forward`."""
        return self.out(features.fused), self.presence(features.pooled)[:, 0]


class CoarseDecoder(MapDecoder):
    """A feature pyramid, which joins maps of several sizes to one map at a quarter of the image's side."""

    def __init__(self, widths: Sequence[int], embedding_channels: int, outputs: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(width, _CHANNELS, 1) for width in widths)
        self.from_sam = _zero_convolution(embedding_channels, _CHANNELS)
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1), nn.GroupNorm(8, _CHANNELS), nn.GELU())
            for _ in widths
        )
        self.out = nn.Conv2d(_CHANNELS, outputs, 1)
        self.presence = nn.Linear(2 * _CHANNELS, 1)

    def trunk(self, maps: Sequence[Tensor], embedding: Tensor | None, side: int, image: Tensor | None) -> TrunkFeatures:
        fused = None
        for number in reversed(range(len(maps))):
            here = self.project[number](maps[number])
            if embedding is not None and number == len(maps) - 2:
                here = here + resized(self.from_sam(embedding), here.shape[-1])
            if fused is not None:
                here = here + resized(fused, here.shape[-1])
            fused = self.smooth[number](here)
            if number == len(maps) - 1:
                pooled = _pooled(fused)
        if fused is None:
            raise ValueError("there are no feature maps")
        return TrunkFeatures(resized(fused, side), pooled)


class FineDecoder(MapDecoder):
    """The decoder of a U-Net, followed by a convolution at half of the image's side that also reads the pixels.

    It enlarges the coarsest map, joins the next finer map, and so on, with two convolutions each.

    Args:
        widths, embedding_channels, outputs: see :class:`MapDecoder`; there are :data:`FINE_MAPS` widths.
        normalises: whether a norm within each image follows each convolution, as in models trained with earlier
            versions; otherwise a scale and an offset for each channel.
    """

    def __init__(
        self, widths: Sequence[int], embedding_channels: int, outputs: int, *, normalises: bool = True
    ) -> None:
        super().__init__()
        below, *skips = reversed(widths)
        self.presence = nn.Linear(2 * below, 1)
        self.from_sam = _zero_convolution(embedding_channels, _WIDTHS[0])
        self.scales = nn.ModuleList()
        for skip, outputs_here in zip(skips, _WIDTHS, strict=True):
            self.scales.append(two_convolutions(below + skip, outputs_here, _norm if normalises else _Affine))
            below = outputs_here
        self.outlines = Outlines(below)
        self.out = nn.Conv2d(OUTLINE_CHANNELS, outputs, 1)

    def trunk(self, maps: Sequence[Tensor], embedding: Tensor | None, side: int, image: Tensor | None) -> TrunkFeatures:
        if image is None:
            raise ValueError("fine maps need the image")
        found, *skips = reversed(maps)
        pooled = _pooled(found)
        for number, (scale, skip) in enumerate(zip(self.scales, skips, strict=True)):
            found = scale(torch.cat([resized(found, skip.shape[-1]), skip], 1))
            if embedding is not None and number == 0:
                found = found + resized(self.from_sam(embedding), found.shape[-1])
        return TrunkFeatures(self.outlines(found, image, side), pooled)


class Outlines(nn.Module):
    """A layer that joins features and pixels at half of the image's side, for sharper outlines."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(inputs, OUTLINE_CHANNELS, 1)
        self.look = nn.Conv2d(3, OUTLINE_CHANNELS, 3, stride=OUTLINE_STRIDE, padding=1)
        self.smooth = nn.Sequential(
            nn.Conv2d(OUTLINE_CHANNELS, OUTLINE_CHANNELS, 3, padding=1), nn.GroupNorm(4, OUTLINE_CHANNELS), nn.GELU()
        )

    def forward(self, found: Tensor, image: Tensor, side: int) -> Tensor:
        """Join features (B, C, h, h) and the image (B, S, S, 3), RGB in [0, 255], to (B, 24, side, side)."""
        pixels = image.permute(0, 3, 1, 2).to(found) / 127.5 - 1
        seen = resized(self.look(pixels), side)
        joined: Tensor = self.smooth(resized(self.narrow(found), side) + seen)
        return joined


def two_convolutions(inputs: int, outputs: int, norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """Return two 3 x 3 convolutions, each with a norm and a ReLU: (B, inputs, h, h) to (B, outputs, h, h)."""
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        layers += [nn.Conv2d(width, outputs, 3, padding=1, bias=False), norm(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def resized(maps: Tensor, side: int) -> Tensor:
    """Resize maps (B, C, h, h) to (B, C, side, side), bilinearly."""
    if maps.shape[-1] == side:
        return maps
    return F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)


def _norm(channels: int) -> nn.Module:
    """Return a norm within each image, so that a step does not depend on the division of its images among processes."""
    return nn.GroupNorm(8, channels)


class _Affine(nn.Module):
    """A scale and an offset for each channel of maps (B, C, h, w): a norm without its statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.weight[:, None, None] + self.bias[:, None, None]


def _pooled(maps: Tensor) -> Tensor:
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)


def _zero_convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 1x1 convolution that starts at zero, so that its contribution must be learned."""
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one
    return layer
