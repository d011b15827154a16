"""The trunk of APMs that estimate a coarse mask before they place points: fused features, and a saliency map."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.prompting.apm import PointPrompter
from promise_seg.sam.features import Features, FeatureSizes

_WIDTH = 128
MAP_CHANNELS = _WIDTH // 2
"""Channels of the fused maps."""
_DILATIONS = (1, 2, 4)


class _ContextBlock(nn.Module):
    """A residual 3x3 convolution that also gets the mean of the whole map."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.conv = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.context = nn.Linear(width, width)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        normed = F.gelu(self.norm(x))
        mixed = self.conv(normed) + self.context(normed.mean((2, 3)))[..., None, None]
        return x + self.out(F.gelu(mixed))


class SaliencyPrompter(PointPrompter):
    """An APM with a saliency map, which is trained on the ground truth and guides the placement of the points.

    Shape: reads all four stages and the embedding; maps and saliency are at twice the resolution of the embedding, for
        ViT-B 128 x 128.
    """

    makes_map = True
    _positions: Tensor

    def __init__(self, sizes: FeatureSizes, num_points: int, num_foreground: int) -> None:
        super().__init__(num_points, num_foreground)
        self.side = sizes.side
        self.from_stages = nn.ModuleList(nn.Linear(width, _WIDTH) for width in sizes.stage_channels)
        self.stage_norms = nn.ModuleList(nn.LayerNorm(width) for width in sizes.stage_channels)
        self.from_embedding = nn.Conv2d(sizes.embedding_channels, _WIDTH, 1)
        self.blocks = nn.Sequential(*(_ContextBlock(_WIDTH, d) for d in _DILATIONS))
        self.enlarge = nn.ConvTranspose2d(_WIDTH, MAP_CHANNELS, 2, 2)
        self.refine = nn.Conv2d(MAP_CHANNELS, MAP_CHANNELS, 3, padding=1)
        self.saliency = nn.Conv2d(MAP_CHANNELS, 1, 1)
        centres = (torch.arange(2 * sizes.grid) + 0.5) / (2 * sizes.grid)
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("_positions", torch.stack([x, y], -1).flatten(0, 1), persistent=False)  # (g * g, 2)

    def maps(self, features: Features) -> Tensor:
        """Fuse the features: (B, :data:`MAP_CHANNELS`, g, g)."""
        fused = self.from_embedding(features.embedding)
        for i, (norm, project) in enumerate(zip(self.stage_norms, self.from_stages, strict=True)):
            fused = fused + project(norm(features.stage(i))).permute(0, 3, 1, 2)
        enlarged = F.gelu(self.enlarge(self.blocks(fused)))
        return F.gelu(enlarged + self.refine(enlarged))

    def in_model_frame(self, places: Tensor) -> Tensor:
        """Convert positions in [0, 1], from edge to edge of the image, to pixel indices in the model frame."""
        return places * self.side - 0.5
