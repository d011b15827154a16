"""Everything that training and prediction need from the encoder."""

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
    """The sizes of the SAM that features come from; SAM ViT-B's values in brackets.

    Args:
        side: side of the model frame, in pixels (1024).
        grid: tokens along a side of the embedding, and of each stage as :meth:`Features.stage` gives it (64).
        embedding_channels: channels of the embedding (256).
        stage_channels: channels of each of the four stages ((768, 768, 768, 768)).
        num_heads: attention heads of the encoder's last blocks (12).
    """

    side: int
    grid: int
    embedding_channels: int
    stage_channels: tuple[int, ...]
    num_heads: int


@dataclass(frozen=True)
class Features:
    """The encoder's outputs for a batch of B images: named tensors, which the store writes as they are.

    Shape:
        ``embedding``: (B, C, h, w), the encoder's final output, which every backbone has; (B, 256, 64, 64) for SAM
            ViT-B.
        ``stages``: (B, 4, h, w, D), the outputs of the blocks at 1/4, 1/2, 3/4 and the end, where all have one width;
            D is 768 for ViT-B. A backbone whose stages differ in width has ``stage_0`` ... ``stage_3``, each
            (B, h_i, w_i, D_i), in their place, none of them finer than the embedding. Read them with :meth:`stage`.
        Any other names are the backbone's own, for its decoder alone.
    """

    tensors: Mapping[str, Tensor]

    @staticmethod
    def of(embedding: Tensor, stages: Tensor) -> "Features":
        """Features of an encoder of one width: the embedding (B, C, h, w) and four stages (B, 4, h, w, D)."""
        return Features({EMBEDDING: embedding, STAGES: stages})

    @property
    def embedding(self) -> Tensor:
        """The encoder's final output: (B, C, h, w)."""
        return self.tensors[EMBEDDING]

    def stage(self, number: int) -> Tensor:
        """One of the four stages, counting from 0: (B, h, w, D); one that is coarser than the embedding enlarged."""
        stage = self._own_stage(number)
        side = self.embedding.shape[-2:]
        if stage.shape[1:3] == side:
            return stage
        enlarged = F.interpolate(stage.permute(0, 3, 1, 2), size=side, mode="bilinear", align_corners=False)
        return enlarged.permute(0, 2, 3, 1)

    def _own_stage(self, number: int) -> Tensor:
        """A stage at the resolution that it has."""
        if STAGES in self.tensors:
            return self.tensors[STAGES][:, number]
        return self.tensors[_STAGE.format(number)]

    def with_stages(self, numbers: Collection[int]) -> "Features":
        """The same features with these stages alone; the embedding and a backbone's own tensors are all kept.

        Where some of four stages of one width are kept, each becomes a tensor of its own: ``stage_1`` ...

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
        """The features of some of the images."""
        return Features({name: tensor[index] for name, tensor in self.tensors.items()})

    def to(self, target: torch.device | torch.dtype | str) -> "Features":
        """Move to a device, or convert to a precision."""
        return Features({name: tensor.to(target) for name, tensor in self.tensors.items()})

    @staticmethod
    def cat(parts: "list[Features]") -> "Features":
        """Join batches of the same backbone's features."""
        return Features({name: torch.cat([part.tensors[name] for part in parts]) for name in parts[0].tensors})


def stage_blocks(depth: int) -> tuple[int, ...]:
    """Indices, counting from 0, of the four blocks whose outputs are the stages: (2, 5, 8, 11) for 12 blocks."""
    return tuple(round(depth * (i + 1) / STAGE_COUNT) - 1 for i in range(STAGE_COUNT))
