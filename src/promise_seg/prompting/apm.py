"""The auto-prompting module (APM): encoder features in, point prompts out.

What every kind of APM shares is here; each kind has a file of its own.
"""

from abc import abstractmethod
from typing import Any, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from promise_seg.errors import SettingsError
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import ApmKind, Protocol


class Proposal(NamedTuple):
    """Shape: ``points_xy_model`` (B, N, 2) float32, (x, y) pixel indices in the model frame, foreground points first;
    ``point_labels`` (B, N); ``saliency_logits`` (B, g, g), a coarse guess of the mask, from APMs that make one."""

    points_xy_model: Tensor
    point_labels: Tensor
    saliency_logits: Tensor | None = None

    def as_prompts(self) -> Prompts:
        """One set of points for each image."""
        return Prompts(points_xy_model=self.points_xy_model[:, None], point_labels=self.point_labels[:, None])


class AutoPrompter(nn.Module):
    """Propose N points for each image, of which the first ``num_foreground`` are foreground.

    Raises:
        SettingsError: if the numbers of points make no sense.
    """

    _labels: Tensor

    def __init__(self, num_points: int, num_foreground: int) -> None:
        super().__init__()
        if num_points < 1 or not 0 <= num_foreground <= num_points:
            raise SettingsError(
                f"of {num_points} points {num_foreground} cannot be foreground: give at least one point, and between 0 "
                "and all of them as foreground"
            )
        self.num_points, self.num_foreground = num_points, num_foreground
        labels = (torch.arange(num_points) < num_foreground).long()
        self.register_buffer("_labels", labels, persistent=False)

    @abstractmethod
    def locate(self, features: Features) -> tuple[Tensor, Tensor | None]:
        """Points (B, N, 2) in the model frame, and saliency logits (B, g, g) if this kind has any."""

    def forward(self, features: Features) -> Proposal:
        points_xy_model, saliency_logits = self.locate(features)
        return Proposal(points_xy_model, self._labels.expand(len(points_xy_model), -1), saliency_logits)


class PointCounts(BaseModel):
    """The number of points, and how many of them, the first ones, are foreground."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_points: int = Field(16, ge=1)
    num_foreground: int = Field(8, ge=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.num_foreground > self.num_points:
            raise ValueError(f"num_foreground ({self.num_foreground}) exceeds num_points ({self.num_points})")
        return self


class ApmConfig(PointCounts):
    """Everything that is needed to build an APM anew, apart from its weights.

    Each kind has a class of its own, beside its module, whose ``kind`` is a literal; the fields that it adds are the
    options of that kind. A checkpoint holds it under ``apm`` in its ``config.json``.
    """

    kind: ApmKind

    @classmethod
    def defaults_of(cls, protocol: Protocol) -> dict[str, Any]:
        """Options that this kind takes by a protocol where the user names none."""
        return {}

    @abstractmethod
    def build(self, sizes: FeatureSizes) -> AutoPrompter:
        """Return an untrained APM for a SAM of these sizes.

        Raises:
            SettingsError: if this kind does not fit that SAM.
        """
