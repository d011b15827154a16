"""The paper's APM ``cross``: learned queries attend to three stages of the encoder in turn, and each gives a point."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.errors import SettingsError
from promise_seg.prompting.apm import PointPrompter, PointsConfig
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.vocabulary import ApmKind, PositionCode, Protocol

_TEMPERATURE = 10_000


def sine_code(height: int, width: int, channels: int, code: PositionCode) -> Tensor:
    """Return a 2D sine position code.

    Shape: (height * width, channels), the first half of the channels from y, the second from x; channels must be a
        multiple of 4.
    Source: ProMISe reference (position code of the ``cross`` APM); after Carion et al., DETR, 2020.
    """
    half = channels // 2
    if code == PositionCode.REFERENCE:
        divisors = torch.arange(1, half + 1, dtype=torch.float32)
    else:
        divisors = _TEMPERATURE ** (2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half)

    def along(count: int) -> Tensor:
        place = torch.arange(1, count + 1, dtype=torch.float32) / (count + 1e-6) * (2 * math.pi)
        angle = place[:, None] / divisors
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2).flatten(1)

    y = along(height)[:, None].expand(-1, width, -1)
    x = along(width)[None].expand(height, -1, -1)
    return torch.cat([y, x], 2).flatten(0, 1)


class _Enlarge(nn.Module):
    """Enlarge a map to twice its size, less one pixel at each border."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(channels, channels, 2, 2)
        self.conv = nn.Conv2d(channels, channels, 3)
        self.batchnorm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batchnorm(self.conv(self.deconv(x))))


class _Mlp(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, hidden)
        self.lin2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lin2(F.gelu(self.lin1(x)))
        return out


class _Layer(nn.Module):
    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.cross_attention = nn.MultiheadAttention(channels, num_heads, batch_first=True)
        self.ffn = _Mlp(channels, 4 * channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, queries: Tensor, query_code: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        attended, _ = self.cross_attention(queries + query_code, keys, values, need_weights=False)
        queries = self.norm1(queries + attended)
        out: Tensor = self.norm3(queries + self.ffn(queries))
        return out


class _Decoder(nn.Module):
    """Three layers, one each for blocks 12, 9 and 6."""

    def __init__(self, channels: int, num_heads: int, num_queries: int, code: PositionCode) -> None:
        super().__init__()
        self.code = code
        self.query_feat = nn.Embedding(num_queries, channels)
        self.query_embedding = nn.Embedding(num_queries, channels)
        self.level_embedding = nn.Embedding(3, channels)
        self.layers = nn.ModuleList(_Layer(channels, num_heads) for _ in range(3))
        self.deconv1 = _Enlarge(channels)
        self.deconv2 = _Enlarge(channels)
        self.deconv3 = _Enlarge(channels)

    def forward(self, late: Tensor, middle: Tensor, early: Tensor) -> Tensor:
        """Return the decoded queries (B, N, D) for three maps, each (B, D, h, w)."""
        maps = (late, self.deconv1(middle), self.deconv3(self.deconv2(early)))
        queries = self.query_feat.weight.expand(len(late), -1, -1)
        for layer, level, level_code in zip(self.layers, maps, self.level_embedding.weight, strict=True):
            height, width = level.shape[-2:]
            values = level.flatten(2).transpose(1, 2) + level_code
            positions = sine_code(height, width, level.shape[1], self.code).to(values)
            queries = layer(queries, self.query_embedding.weight, values + positions, values)
        return queries


class CrossPrompter(PointPrompter):
    """APM ``cross``, as published.

    Shape: of the features, only stages 2, 3, 4 (blocks 6, 9, 12 of 12) are read; for ViT-B (B, 64, 64, 768) each.
        Stages with other widths than the last, as in SAM 2, are projected to its width.
    Raises: SettingsError if the channels of the last stage are not a multiple of 4 and of the number of heads.
    Source: ProMISe reference: ``apm_cross`` and ``apm_cross_prompt``, whose parameter names are kept. Ours differs: as
        many heads as the encoder (12 for ViT-B, as in the reference), and without each layer's ``norm2``, which the
        reference has but never uses.
    """

    stages_read = (1, 2, 3)

    def __init__(
        self,
        stage_channels: Sequence[int],
        num_heads: int,
        side: int,
        num_points: int,
        num_foreground: int,
        position_code: PositionCode = PositionCode.GEOMETRIC,
    ) -> None:
        super().__init__(num_points, num_foreground)
        width = stage_channels[-1]
        if width % 4 or width % num_heads:
            raise SettingsError(
                f"--apm cross needs an encoder whose last stage has a width that is a multiple of its {num_heads} "
                f"heads and a multiple of 4, got {width}. Choose --apm heatmap or resnet"
            )
        self.side = side
        self.widen = nn.ModuleList(
            nn.Identity() if channels == width else nn.Linear(channels, width) for channels in stage_channels[1:]
        )
        self.cross = _Decoder(width, num_heads, num_points, position_code)
        self.prompt = nn.Linear(width, 2)

    def locate(self, features: Features) -> tuple[Tensor, Tensor | None]:
        early, middle, late = (
            widen(features.stage(number)).permute(0, 3, 1, 2) for number, widen in enumerate(self.widen, start=1)
        )
        points = torch.sigmoid(self.prompt(self.cross(late, middle, early)))
        return points * self.side, None


class CrossConfig(PointsConfig):
    """Config of the APM ``cross``."""

    kind: Literal[ApmKind.CROSS] = ApmKind.CROSS
    position_code: PositionCode = PositionCode.GEOMETRIC

    @classmethod
    def defaults_of(cls, protocol: Protocol) -> dict[str, Any]:
        """Return the reference's position code for the reference's protocol."""
        return {"position_code": PositionCode.REFERENCE} if protocol == Protocol.REFERENCE else {}

    def build(self, sizes: FeatureSizes) -> CrossPrompter:
        return CrossPrompter(
            sizes.stage_channels, sizes.num_heads, sizes.side, self.num_points, self.num_foreground, self.position_code
        )
