"""Our APM ``heatmap``: a coarse estimate of the mask, and one heat map for each point, read out by a soft arg-max.

The paper's APM pools all positions away and must rebuild coordinates from one vector; the mask loss reaches them only
through the sine code of the prompt encoder. Here a point is the mean of a distribution over positions, so that it moves
as soon as the distribution does. Three things keep these means meaningful:

- A *saliency* map, trained on the ground truth, gates the heat: foreground points are only placed where it is high,
  background points where it is low.
- Foreground heat is kept near anchors relative to the centre and spread of the salient object, so that the points cover
  the object instead of meeting in its middle.
- Background heat is kept near anchors that are spread over the image and stay away from the object, since the mean of
  all positions outside of an object is usually inside.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.prompting.apm import PointsConfig
from promise_seg.prompting.saliency import MAP_CHANNELS, SaliencyPrompter
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.vocabulary import ApmKind

_CLEARANCE = 3.0  # least distance of background anchors from the object's centre, in spreads; a disc ends at 2
_BACKGROUND_REACH = 0.16  # standard deviation of the heat around a background anchor, as a share of the side


def _ring(count: int, radius: float) -> Tensor:
    """Return (count, 2) anchors: the centre, and the rest on a ring around it."""
    if count == 0:
        return torch.zeros(0, 2)
    angles = torch.arange(count - 1) * (2 * math.pi / max(count - 1, 1))
    ring = radius * torch.stack([angles.cos(), angles.sin()], -1)
    return torch.cat([torch.zeros(1, 2), ring])


def _spread(count: int) -> Tensor:
    """Return (count, 2) anchors in [0, 1], equally spaced around the border region of the image."""
    angles = (torch.arange(count) + 0.5) * (2 * math.pi / max(count, 1))
    direction = torch.stack([angles.cos(), angles.sin()], -1)
    return 0.5 + 0.36 * direction / direction.abs().amax(-1, keepdim=True).clamp(min=1e-6)


class HeatmapPrompter(SaliencyPrompter):
    """APM ``heatmap``.

    Shape: see :class:`~promise_seg.prompting.saliency.SaliencyPrompter`; heat maps have the resolution of the saliency.
    """

    def __init__(self, sizes: FeatureSizes, num_points: int, num_foreground: int) -> None:
        super().__init__(sizes, num_points, num_foreground)
        self.heat = nn.Conv2d(MAP_CHANNELS, num_points, 1)
        nn.init.zeros_(self.heat.weight)
        self.foreground_anchors = nn.Parameter(_ring(num_foreground, 1.0))  # in spreads from the object's centre
        self.background_anchors = nn.Parameter(_spread(num_points - num_foreground))  # in sides of the image

    def _nearness(self, saliency: Tensor) -> Tensor:
        """Return the log weight (B, N, g * g) of each position for each point, from its distance to the anchor."""
        positions = self._positions
        weight = saliency.sigmoid()
        weight = weight / weight.sum(-1, keepdim=True).clamp(min=1e-6)
        centre = weight @ positions  # (B, 2)
        variance = (weight[..., None] * (positions - centre[:, None]).square()).sum(1).mean(-1)  # (B,)
        spread = variance.clamp(min=1e-4).sqrt()[:, None]
        inner = centre[:, None] + self.foreground_anchors * spread[..., None]
        away_from = self.background_anchors - centre[:, None]
        distance = away_from.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        outer = centre[:, None] + away_from / distance * distance.maximum(_CLEARANCE * spread[..., None])
        outer = outer.clamp(0, 1)
        anchors = torch.cat([inner, outer], 1)
        reach = torch.cat(
            [(0.6 * spread).expand(-1, inner.shape[1]), torch.full_like(outer[..., 0], _BACKGROUND_REACH)], 1
        )
        away = (positions - anchors[:, :, None]).square().sum(-1)
        return -away / (2 * reach.square())[..., None]

    def locate(self, features: Features) -> tuple[Tensor, Tensor | None]:
        maps = self.maps(features)
        saliency = self.saliency(maps).flatten(1)  # (B, g * g)
        sign = self._labels * 2 - 1
        gate = F.logsigmoid(saliency[:, None] * sign[:, None])
        heat = self.heat(maps).flatten(2) + 2 * gate + self._nearness(saliency)
        centre = heat.softmax(-1) @ self._positions  # (B, N, 2) in [0, 1], edge to edge
        side = maps.shape[-1]
        return self.in_model_frame(centre), saliency.unflatten(1, (side, side))


class HeatmapConfig(PointsConfig):
    """Config of the APM ``heatmap``, which has no options."""

    kind: Literal[ApmKind.HEATMAP] = ApmKind.HEATMAP

    def build(self, sizes: FeatureSizes) -> HeatmapPrompter:
        return HeatmapPrompter(sizes, self.num_points, self.num_foreground)
