"""An APM for images with several objects: points at the peaks of a saliency map, at a distance from each other.

``heatmap`` places its points relative to the centre and spread of one object, and learns a map for each point. Here
only the saliency is learned, and points are picked from it one after the other, each where the saliency of its label is
high and no other point is near. The points therefore reach every object, wherever it is. As no weights belong to a
point, the number of points of a trained model can be changed in its config.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from promise_seg.prompting.apm import PointsConfig
from promise_seg.prompting.saliency import SaliencyPrompter
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.vocabulary import ApmKind

_PULL = 0.5  # strength of the pull to the centre of the saliency, which keeps background points near the objects
_REACH = 1.5  # a point is the mean position within this many cells of the peak, weighted by the saliency of its label


class PeaksPrompter(SaliencyPrompter):
    """APM ``peaks``.

    Args:
        sizes: sizes of the SAM's features.
        num_points: number of points.
        num_foreground: number of foreground points, which come first and are placed where the saliency is high.
        distance: distance that points should keep from each other, as a share of the side of the image.

    Shape: see :class:`~promise_seg.prompting.saliency.SaliencyPrompter`.
    """

    def __init__(self, sizes: FeatureSizes, num_points: int, num_foreground: int, distance: float = 0.1) -> None:
        super().__init__(sizes, num_points, num_foreground)
        self.distance = distance

    def locate(self, features: Features) -> tuple[Tensor, Tensor | None]:
        logits = self.saliency(self.maps(features))[:, 0]  # (B, g, g)
        saliency = logits.flatten(1)
        of_label = torch.stack([F.logsigmoid(-saliency), F.logsigmoid(saliency)], 1)  # (B, 2, g * g)
        peaks = self._pick(of_label.detach())  # (B, N)
        near = (self._positions[peaks][:, :, None] - self._positions).abs().amax(-1) * logits.shape[-1] <= _REACH
        weights = of_label[:, self._labels].masked_fill(~near, -torch.inf).softmax(-1)  # (B, N, g * g)
        return self.in_model_frame(weights @ self._positions), logits

    def _pick(self, of_label: Tensor) -> Tensor:
        """Return the cells (B, N) of the points, given the log probabilities (B, 2, g * g) of both labels."""
        weight = of_label[:, 1].exp()
        middle = (weight @ self._positions) / weight.sum(-1, keepdim=True).clamp(min=1e-6)
        pull = -_PULL * (self._positions - middle[:, None]).square().sum(-1)
        apart = torch.zeros_like(pull)  # log weight of each cell, low near the points picked so far
        picked = []
        for label in self._labels.tolist():
            cell = (2 * of_label[:, label] + pull + apart).argmax(-1)
            away = (self._positions - self._positions[cell][:, None]).square().sum(-1)
            apart = apart.minimum((-torch.expm1(-away / (2 * self.distance**2))).clamp(min=1e-9).log())
            picked.append(cell)
        return torch.stack(picked, 1)


class PeaksConfig(PointsConfig):
    """Config of the APM ``peaks``."""

    kind: Literal[ApmKind.PEAKS] = ApmKind.PEAKS
    distance: float = Field(0.1, gt=0, le=1)

    def build(self, sizes: FeatureSizes) -> PeaksPrompter:
        return PeaksPrompter(sizes, self.num_points, self.num_foreground, self.distance)
