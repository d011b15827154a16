"""An out-of-distribution score: the distance of an image from the training images, in the encoder's space."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

NEAREST = 5
"""The rank of the training image whose distance is used: the k of Sun et al. 2022."""


def pooled(embedding: Tensor) -> Tensor:
    """Average embeddings (B, C, h, w) over positions and scale them to length 1: (B, C) float32 on the CPU."""
    return F.normalize(embedding.detach().float().mean((2, 3)), dim=1).cpu()


@dataclass(frozen=True)
class Neighbours:
    """The training images, each as one vector.

    Shape: ``embeddings`` (N, C) float16, of length 1.
    """

    embeddings: Tensor

    @staticmethod
    def of(vectors: Tensor) -> "Neighbours":
        """Create from vectors (N, C), rounded as in the file, so that distances equal those of a loaded file."""
        return Neighbours(vectors.to(torch.float16).contiguous())

    def distance(self, vector: Tensor) -> float:
        """Return the distance of a vector (C,) of length 1 to the fifth nearest training image; with fewer than five,
        to the farthest.

        The distance is in [0, 2].

        Source: Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors".
        """
        distances = (self.embeddings.float() - vector).norm(dim=1)
        return float(distances.kthvalue(min(NEAREST, len(distances))).values)
