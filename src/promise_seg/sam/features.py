"""Everything that training and prediction need from the encoder."""

from dataclasses import dataclass

import torch
from torch import Tensor

STAGE_COUNT = 4


@dataclass(frozen=True)
class FeatureSizes:
    """What whoever reads features must know of the SAM they come from; in brackets for SAM ViT-B.

    Args:
        side: of the model frame, in pixels (1024).
        grid: tokens along a side (64).
        embedding_channels: of the embedding (256).
        stage_channels: width of the encoder's blocks (768).
        num_heads: of their attention (12).
    """

    side: int
    grid: int
    embedding_channels: int
    stage_channels: int
    num_heads: int


@dataclass(frozen=True)
class Features:
    """Encoder outputs of a batch of B images.

    Shape:
        embedding: (B, C, h, w), the encoder's final output; (B, 256, 64, 64) for SAM ViT-B.
        stages: (B, 4, h, w, D), outputs of the blocks at 1/4, 1/2, 3/4 and the end; D is 768 for ViT-B.
    """

    embedding: Tensor
    stages: Tensor

    def __len__(self) -> int:
        return self.embedding.shape[0]

    def __getitem__(self, index: slice) -> "Features":
        return Features(self.embedding[index], self.stages[index])

    def to(self, target: torch.device | torch.dtype | str) -> "Features":
        """To a device or a precision."""
        return Features(self.embedding.to(target), self.stages.to(target))

    @staticmethod
    def cat(parts: "list[Features]") -> "Features":
        return Features(torch.cat([p.embedding for p in parts]), torch.cat([p.stages for p in parts]))


def stage_blocks(depth: int) -> tuple[int, ...]:
    """Indices, counting from 0, of the four blocks whose outputs are the stages: (2, 5, 8, 11) for 12 blocks."""
    return tuple(round(depth * (i + 1) / STAGE_COUNT) - 1 for i in range(STAGE_COUNT))
