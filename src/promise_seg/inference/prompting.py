"""Prompts for rows with a ground truth: the model's own prompts, or those of a simulated user who knows it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promise_seg.arguments import whole_number
from promise_seg.bounds import MOST_POINTS
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import SettingsError
from promise_seg.images.cut_masks import CutMask
from promise_seg.inference.encoding import Sample
from promise_seg.model import PromiseModel
from promise_seg.prompting.given_prompts import form_of_points
from promise_seg.prompting.oracle import boxes_around, points_in_masks
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskKind, PromptForm, PromptSource, Protocol, Variant

USUAL_POINTS = 16
"""The default number of oracle points."""


@dataclass(frozen=True, kw_only=True)
class PromptPlan:
    """The source of the prompts of rows.

    Args:
        prompts: the source.
        num_points: number of oracle points for each image or object, half of them background; at most
            :data:`~promise_seg.bounds.MOST_POINTS`.
        seed: seed of the oracle points.
        protocol: with the reference's protocol, oracle points come from one random stream over the rows in order; with
            our own, they depend only on (seed, image).

    Raises:
        SettingsError: if there are no points, or too many.
    """

    prompts: PromptSource
    num_points: int = USUAL_POINTS
    seed: int = 0
    protocol: Protocol = Protocol.OWN

    def __post_init__(self) -> None:
        if not 1 <= whole_number(self.num_points, "--points") <= MOST_POINTS:
            raise SettingsError(f"--points {self.num_points}: expected a whole number from 1 to {MOST_POINTS}")

    @property
    def form(self) -> PromptForm | None:
        """The form of prompts that are given to the model; ``None`` for its own prompts, or no prompts."""
        if self.prompts == PromptSource.BOX:
            return PromptForm.BOX
        if self.prompts == PromptSource.ORACLE:
            return form_of_points(self.num_points)
        return None

    def prompts_objects(self, row: CheckedRow) -> bool:
        """Whether each object of a row is prompted separately: for instance maps, with ground-truth prompts."""
        return self.prompts.reads_truth and row.reading.masks == MaskKind.INSTANCES

    def stream(self) -> np.random.Generator | None:
        """Return the random stream of the reference's protocol; ``None`` for our own."""
        return np.random.default_rng(self.seed) if self.protocol == Protocol.REFERENCE else None

    def rng_of(self, sample: Sample) -> np.random.Generator:
        """Return a random number generator that depends only on the seed and the image."""
        return np.random.default_rng([self.seed, int(sample.checked.pixels_sha256[:16], 16)])


def check_prompts(model: PromiseModel, source: PromptSource) -> None:
    """Check that a model can make the prompts.

    Raises:
        SettingsError: if its own prompts are requested from a model without an APM.
    """
    check_variant_prompts(model.config.variant, source)


def check_variant_prompts(variant: Variant, source: PromptSource) -> None:
    """Check that models of a variant can make the prompts.

    Raises:
        SettingsError: if their own prompts are requested, but they have no APM.
    """
    if source == PromptSource.APM and not variant.has_apm:
        raise SettingsError(
            f"--prompts apm: the variant {variant} has no auto-prompting module. "
            "Choose oracle, box or none, or a model of variant apm or apm+ips"
        )


def make_prompts(
    model: PromiseModel,
    features: Features,
    samples: Sequence[Sample],
    plan: PromptPlan,
    stream: np.random.Generator | None = None,
) -> Prompts:
    """Make one set of prompts for each image of a batch, in the model frame.

    Oracle points depend on (seed, image), not on the order of the rows, unless they are drawn from a ``stream``.

    Raises:
        ValueError: if the objects of a row must be prompted separately; see :func:`prompts_for_objects`.
    """
    source = plan.prompts
    if source == PromptSource.NONE:
        return Prompts()
    if source == PromptSource.APM:
        return model.propose(features)
    if any(plan.prompts_objects(sample.checked) for sample in samples):
        raise ValueError("rows with instances are prompted by prompts_for_objects")
    own = plan.protocol == Protocol.OWN  # the reference sees only the mask in the model frame
    masks = [sample.to_prompt(sample.checked.mask()) if own else sample.mask() for sample in samples]
    if source == PromptSource.BOX:
        return Prompts(boxes_xyxy_model=boxes_around(masks)[:, None]).to(model.device)
    rngs = [stream or plan.rng_of(sample) for sample in samples]
    points, labels = points_in_masks(masks, plan.num_points, rngs)
    return Prompts(points_xy_model=points[:, None], point_labels=labels[:, None]).to(model.device)


def prompts_for_objects(
    sample: Sample, objects: Sequence[CutMask], plan: PromptPlan, rng: np.random.Generator
) -> Prompts:
    """Make a set of prompts for each object of one image: (1, K, ...), in the model frame.

    An object that is too small for the model frame is prompted at its centre.
    """
    masks = (sample.to_prompt(one.whole()) for one in objects)
    if plan.prompts == PromptSource.BOX:
        return Prompts(boxes_xyxy_model=boxes_around(masks)[None])
    points, labels = points_in_masks(masks, plan.num_points, [rng] * len(objects))
    return Prompts(points_xy_model=points[None], point_labels=labels[None])
