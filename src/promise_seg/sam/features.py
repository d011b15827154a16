"""Features: everything that training and prediction need from the encoder."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

STAGE_COUNT = 4

EMBEDDING = "embedding"
STAGES = "stages"
ALL_STAGES = tuple(range(STAGE_COUNT))
_STAGE = "stage_{}"


@dataclass(frozen=True)
class FeatureSizes:
    """The sizes of a SAM and its features, with the values of SAM ViT-B in brackets.

    Args:
        side: side of the model frame, in pixels (1024).
        grid: number of tokens along a side of the embedding, and of each stage from :meth:`Features.stage` (64).
        embedding_channels: number of channels of the embedding (256).
        stage_channels: number of channels of each of the four stages ((768, 768, 768, 768)).
        num_heads: number of attention heads of the encoder's last blocks (12).
    """

    side: int
    grid: int
    embedding_channels: int
    stage_channels: tuple[int, ...]
    num_heads: int


@dataclass(frozen=True)
class Features:
    """The encoder's outputs for a batch of B images: named tensors, which the feature store writes unchanged.

    Shape:
        ``embedding``: (B, C, h, w), the encoder's final output, which every backbone has; (B, 256, 64, 64) for SAM
            ViT-B.
        ``stages``: (B, 4, h, w, D), the outputs of the blocks at 1/4, 1/2, 3/4 and the end, if all have the same width;
            D is 768 for ViT-B. A backbone whose stages differ in width has ``stage_0`` ... ``stage_3`` instead, each
            (B, h_i, w_i, D_i) and not finer than the embedding. Read them with :meth:`stage`.
        Tensors with any other name are specific to the backbone, and used only by its decoder.
    """

    tensors: Mapping[str, Tensor]

    @staticmethod
    def of(embedding: Tensor, stages: Tensor) -> "Features":
        """Return features from the embedding (B, C, h, w) and four stages of equal width (B, 4, h, w, D)."""
        return Features({EMBEDDING: embedding, STAGES: stages})

    @property
    def embedding(self) -> Tensor:
        """The encoder's final output: (B, C, h, w)."""
        return self.tensors[EMBEDDING]

    def stage(self, number: int) -> Tensor:
        """Return a stage (B, h, w, D), counting from 0; coarser stages are upsampled to the embedding's resolution."""
        stage = self._own_stage(number)
        side = self.embedding.shape[-2:]
        if stage.shape[1:3] == side:
            return stage
        enlarged = F.interpolate(stage.permute(0, 3, 1, 2), size=side, mode="bilinear", align_corners=False)
        return enlarged.permute(0, 2, 3, 1)

    def _own_stage(self, number: int) -> Tensor:
        """Return a stage at its own resolution."""
        if STAGES in self.tensors:
            return self.tensors[STAGES][:, number]
        return self.tensors[_STAGE.format(number)]

    def with_stages(self, numbers: Collection[int]) -> "Features":
        """Return the features with only these stages; the embedding and the backbone's own tensors are kept.

        If only some of the four stages are kept, each becomes a separate tensor: ``stage_1`` ...

        Raises:
            KeyError: if one of the stages is missing.
        """
        if STAGES in self.tensors and set(numbers) == set(ALL_STAGES):
            return self
        own = {_STAGE.format(number) for number in ALL_STAGES} | {STAGES}
        kept = {name: tensor for name, tensor in self.tensors.items() if name not in own}
        return Features(kept | {_STAGE.format(number): self._own_stage(number) for number in sorted(numbers)})

    def __len__(self) -> int:
        return next(iter(self.tensors.values())).shape[0]

    def __getitem__(self, index: slice) -> "Features":
        """Return the features of a slice of the images."""
        return Features({name: tensor[index] for name, tensor in self.tensors.items()})

    def to(self, target: torch.device | torch.dtype | str) -> "Features":
        """Move all tensors to a device, or convert them to a data type."""
        return Features({name: tensor.to(target) for name, tensor in self.tensors.items()})

    @staticmethod
    def cat(parts: "list[Features]") -> "Features":
        """Concatenate batches of features from the same backbone."""
        return Features({name: torch.cat([part.tensors[name] for part in parts]) for name in parts[0].tensors})


def stage_blocks(depth: int) -> tuple[int, ...]:
    """Return the indices, from 0, of the four blocks whose outputs are the stages: (2, 5, 8, 11) for 12 blocks."""
    return tuple(round(depth * (i + 1) / STAGE_COUNT) - 1 for i in range(STAGE_COUNT))
