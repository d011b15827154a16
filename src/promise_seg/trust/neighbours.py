"""How far an image is from those that a model was trained on, in the encoder's space."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

NEAREST = 5
"""Which of the nearest training images counts: the k of Sun et al. 2022."""


def pooled(embedding: Tensor) -> Tensor:
    """Embeddings (B, C, h, w) to their means over positions, of length 1: (B, C) float32 on the CPU."""
    return F.normalize(embedding.detach().float().mean((2, 3)), dim=1).cpu()


@dataclass(frozen=True)
class Neighbours:
    """Training images, each as one vector.

    Shape: ``embeddings`` (N, C) float16, of length 1.
    """

    embeddings: Tensor

    @staticmethod
    def of(vectors: Tensor) -> "Neighbours":
        """Of vectors (N, C), rounded as they are kept on disk, so that a file gives the same distances."""
        return Neighbours(vectors.to(torch.float16).contiguous())

    def distance(self, vector: Tensor) -> float:
        """From a vector (C,) of length 1 to the fifth nearest training image, or the farthest of fewer: within [0, 2].

        Source: Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors".
        """
        distances = (self.embeddings.float() - vector).norm(dim=1)
        return float(distances.kthvalue(min(NEAREST, len(distances))).values)
