"""The auto-prompting module (APM): encoder features in, prompts out.

This module contains what all kinds of APM share; each kind has a module of its own.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from promise_seg.bounds import MOST_POINTS
from promise_seg.errors import SettingsError
from promise_seg.sam.features import ALL_STAGES, Features, FeatureSizes
from promise_seg.sam.prompts import PER_SET, Prompts
from promise_seg.vocabulary import ApmKind, Protocol, Recipe

IMAGE = "apm_image"
"""Name of the image among the features, for an APM that reads it next to SAM's features: (B, s, s, 3) RGB, [0, 255]."""


NOT_ASKED_FOR = -1
"""The number, in the regions of a proposal, of objects that SAM is not prompted for because there are too many."""


@dataclass(frozen=True, kw_only=True)
class Proposal(Prompts):
    """The prompts that an APM proposes, and the maps that they were derived from; K sets for each of B images.

    If images differ in their number of sets, images with fewer sets repeat theirs, with the same numbers.

    Shape:
        saliency_logits: (B, g, g), a coarse estimate of the mask, from APMs that make one.
        distance_logits: (B, g, g), how deep inside its object each position is, 0 to 1 after a sigmoid.
        presence_logits: (B,), whether there is anything to segment.
        regions: (B, r, r) integer, over the whole model frame: the number of the set that prompts for the object at
            each position, or :data:`NOT_ASKED_FOR` for objects without a set, as there are too many.
        numbers: (B, K), the number of each set in ``regions``.
    """

    saliency_logits: Tensor | None = None
    distance_logits: Tensor | None = None
    presence_logits: Tensor | None = None
    regions: Tensor | None = None
    numbers: Tensor | None = None

    def own_sets(self, image: int) -> Tensor | None:
        """Return the indices of the sets of an image without repeated sets; ``None`` if no set is repeated."""
        if self.numbers is None:
            return None
        numbers = self.numbers[image].tolist()
        first = [index for index, number in enumerate(numbers) if number not in numbers[:index]]
        return None if len(first) == len(numbers) else torch.tensor(first, device=self.numbers.device)


def some_sets(proposal: Proposal, count: int) -> Proposal:
    """Draw ``count`` of the K sets of prompts of each image at random, with torch's global generator."""
    picked = torch.rand(proposal.batch, proposal.per_image).argsort(1)[:, :count]

    def pick(part: Tensor | None) -> Tensor | None:
        if part is None:
            return None
        index = picked.to(part.device)
        return part[torch.arange(len(part), device=part.device)[:, None], index]

    parts = {name: pick(getattr(proposal, name)) for name in (*PER_SET, "numbers")}
    return replace(proposal, **parts)


class AutoPrompter(nn.Module):
    """Base class of auto-prompting modules: features in, prompts out.

    Attributes:
        stages_read: the stages of SAM's encoder that the APM reads, counting from 0; no others are stored.
        image_side: side of the images that it reads next to SAM's features, in pixels; ``None`` if it reads none.
        map_side: side of its maps, if that does not depend on SAM.
        makes_map: whether it predicts a saliency map, which shows where objects are.
        separates: whether it was trained on instance maps, and separates objects that touch.
        helps_answers: whether its map can have a share in the masks for prompts that a person gives.
        frozen_part: name of a part that is never trained and not in checkpoints.
        fast_part: name of a part that is trained with twice the learning rate.
        heads: names of the parts that each class has separately if one network is trained for several classes. All
            other parts are the trunk. Empty for a kind that cannot be trained in this way.
    """

    stages_read: tuple[int, ...] = ALL_STAGES
    image_side: int | None = None
    map_side: int | None = None
    makes_map: bool = False
    separates: bool = False
    helps_answers: bool = False
    frozen_part: str | None = None
    fast_part: str | None = None
    heads: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, features: Features) -> Proposal:
        """Propose prompts for each image."""

    @property
    def device(self) -> torch.device:
        """The device that the APM computes on."""
        return next(self.parameters()).device

    def frozen_maps(self, images: Tensor) -> Features | None:
        """Return the maps that the frozen part computes from images (B, s, s, 3), to be stored.

        ``None`` if there is no frozen part, so that the image itself is needed.
        """
        return None

    @property
    def frozen_sha256(self) -> str:
        """The SHA-256 of the weights of the frozen part.

        Raises:
            ValueError: if no part is frozen.
        """
        raise ValueError(f"{type(self).__name__} has no frozen part")

    def outputs(self, features: Features) -> dict[str, Tensor]:
        """Run trunk and heads, and return by name all outputs that the APM needs to propose prompts.

        Empty for a kind that reads only SAM's features.
        """
        return self.head_outputs(self.trunk_features(features))

    def saliency_of(self, features: Features) -> Tensor | None:
        """Return the saliency logits (B, g, g) for the masks of prompts that a person gives.

        ``None`` for a kind that does not support it (:attr:`helps_answers`), and for features that lack its inputs.
        """
        return None

    def trunk_features(self, features: Features) -> Any:
        """Run the trunk: all parts before the :attr:`heads`."""
        return features

    def head_outputs(self, trunk: Any) -> dict[str, Tensor]:
        """Run the heads on :meth:`trunk_features` of this APM, or of another APM that shares its trunk."""
        return {}

    def shares_trunk(self, other: "AutoPrompter") -> bool:
        """Whether both APMs have the same trunk, so that its features are equal for every image."""
        return self is other

    def graph_outputs(self, features: Features) -> dict[str, Tensor]:
        """Return the outputs of an exported graph for one image, by name, without a search for objects.

        They are ``points`` (1, N, 2) in the model frame and ``labels`` (1, N), or the maps in which objects are found
        by :attr:`object_rule`; with ``saliency_logits`` (g, g) and ``presence_logits`` (1,), if there are any.
        """
        proposal = self(features)
        found = {
            "points": proposal.points_xy_model[0],
            "labels": proposal.point_labels[0],
            "saliency_logits": None if proposal.saliency_logits is None else proposal.saliency_logits[0],
            "presence_logits": proposal.presence_logits,
        }
        return {name: value for name, value in found.items() if value is not None}

    @property
    def object_rule(self) -> dict[str, float | None] | None:
        """The parameters for finding objects in the APM's maps; ``None`` if it proposes points without a search for
        objects."""
        return None

    def load_pretrained_weights(self) -> None:
        """Load the weights of pretrained parts, for a training that does not start from another model."""


def outputs_of_all(prompters: Sequence[AutoPrompter], features: Features) -> list[dict[str, Tensor]]:
    """Run several APMs on the same images; the trunk of the first APM is run once for all APMs that share it."""
    first, *others = prompters
    trunk = first.trunk_features(features)
    return [first.head_outputs(trunk)] + [
        one.head_outputs(trunk) if one.shares_trunk(first) else one.outputs(features) for one in others
    ]


class PointPrompter(AutoPrompter):
    """Propose N points for each image, of which the first ``num_foreground`` are foreground.

    Raises:
        SettingsError: if there is no point, or more foreground points than points.
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
        """Return points (B, N, 2) in the model frame, and saliency logits (B, g, g) if this kind has any."""

    def forward(self, features: Features) -> Proposal:
        points_xy_model, saliency_logits = self.locate(features)
        return Proposal(
            points_xy_model=points_xy_model[:, None],
            point_labels=self._labels.expand(len(points_xy_model), 1, -1),
            saliency_logits=saliency_logits,
        )


class PointCounts(BaseModel):
    """The number of points, and the number of foreground points, which come first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_points: int = Field(16, ge=1, le=MOST_POINTS)
    num_foreground: int = Field(8, ge=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.num_foreground > self.num_points:
            raise ValueError(f"num_foreground ({self.num_foreground}) exceeds num_points ({self.num_points})")
        return self


class ApmConfig(BaseModel):
    """The config of an APM: everything that is needed to rebuild it, apart from its weights.

    Each kind has a subclass in its own module, whose ``kind`` is a literal; the fields that it adds are the options of
    that kind. A checkpoint has it under ``apm`` in its ``config.json``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ApmKind

    @classmethod
    def defaults_of(cls, protocol: Protocol) -> dict[str, Any]:
        """Return the default options of this kind for a protocol, where they differ from those of the fields."""
        return {}

    @classmethod
    def usual_epochs(cls, rows: int) -> int | None:
        """Return the default number of epochs for a number of train rows; ``None`` if it does not depend on them."""
        return None

    @classmethod
    def options_of_new_runs(cls, recipe: Recipe) -> dict[str, Any]:
        """Return the default options of new runs that differ from those of models without these options.

        Args:
            recipe: recipe of the augmented views for training.
        """
        return {}

    @classmethod
    def options(cls) -> list[str]:
        """Return the names of the options of this kind, without its numbers of points."""
        return sorted(set(cls.model_fields) - {"kind", *PointCounts.model_fields})

    def meaning(self) -> dict[str, Any]:
        """Return the options that must agree for the weights of two APMs to be compatible, apart from point numbers."""
        return self.model_dump(exclude=set(PointCounts.model_fields))

    @abstractmethod
    def build(self, sizes: FeatureSizes) -> AutoPrompter:
        """Return an untrained APM for a SAM of these sizes.

        Raises:
            SettingsError: if this kind cannot be used with such a SAM.
        """

    def completed(self, *, learns_presence: bool = False, separates: bool = False) -> Self:
        """Return the config with all values that a checkpoint needs, before training begins.

        Args:
            learns_presence: whether some of the training images contain no object.
            separates: whether the objects of instance maps are learned separately.

        Raises:
            SettingsError: if a backbone that the options name is not available or does not fit the other options.
        """
        return self


class PointsConfig(PointCounts, ApmConfig):
    """Config of an APM that proposes a fixed number of points."""
