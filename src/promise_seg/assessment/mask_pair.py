"""A predicted mask and its ground truth: the input of all measures, with shared results computed only once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import BoolArray, Float32Array, LabelArray
from promise_seg.assessment.metrics import Scores, score_mask
from promise_seg.assessment.objects import ObjectScores, score_instance_maps, score_objects
from promise_seg.assessment.structure import StructureScores, score_structure
from promise_seg.assessment.surfaces import Surfaces
from promise_seg.images.cut_masks import CutMask


class InstanceMaps(NamedTuple):
    """The predicted and true objects of one image as instance maps (H, W)."""

    predicted: LabelArray
    truth: LabelArray


class Objects(NamedTuple):
    """The predicted and true objects of one image as masks, which may overlap."""

    predicted: Sequence[CutMask]
    truth: Sequence[CutMask]


@dataclass(frozen=True)
class MaskPair:
    """One prediction and its ground truth, in the image frame.

    Results that several measures share (distances between the outlines, structure measures, matching of objects) are
    computed when first needed, and cached.

    Args:
        mask_probs: the probabilities, (H, W).
        predicted: the mask made from the probabilities, (H, W).
        truth: the ground truth, (H, W).
        spacing: the distance between rows and between columns, in the unit of all distances; (1, 1) for pixels.
        tolerance: the tolerance of the surface Dice, in the same unit.
        objects: the objects of an instance map; ``None`` for any other mask.

    Raises:
        ValueError: if the shapes differ.
    """

    mask_probs: Float32Array
    predicted: BoolArray
    truth: BoolArray
    spacing: tuple[float, float] = (1.0, 1.0)
    tolerance: float = 2.0
    objects: Objects | InstanceMaps | None = None

    def __post_init__(self) -> None:
        shapes = {self.mask_probs.shape, self.predicted.shape, self.truth.shape}
        if len(shapes) > 1:
            raise ValueError(f"probabilities, mask and ground truth must have the same shape, got {sorted(shapes)}")

    @cached_property
    def has_truth(self) -> bool:
        """Whether the ground truth has any foreground."""
        return bool(self.truth.any())

    @cached_property
    def has_prediction(self) -> bool:
        """Whether anything is predicted."""
        return bool(self.predicted.any())

    @property
    def diagonal(self) -> float:
        """The length of the image's diagonal, in the unit of ``spacing``."""
        rows, columns = self.truth.shape
        return float(np.hypot(rows * self.spacing[0], columns * self.spacing[1]))

    @cached_property
    def overlap(self) -> Scores:
        """The overlap scores, and the mean absolute error of the probabilities."""
        return score_mask(self.mask_probs, self.truth, self.predicted)

    @cached_property
    def structure(self) -> StructureScores:
        """The S-measure, E-measures and weighted F of the probabilities."""
        return score_structure(self.mask_probs, self.truth, self.predicted)

    @cached_property
    def surfaces(self) -> Surfaces:
        """The distances between the outlines of both masks.

        Raises:
            ValueError: if either mask is empty.
        """
        return Surfaces(self.predicted, self.truth, tolerance=self.tolerance, spacing=self.spacing)

    @cached_property
    def matched(self) -> ObjectScores:
        """The scores of the predicted objects, matched with the true objects.

        Raises:
            ValueError: if the ground truth is not an instance map.
        """
        if self.objects is None:
            raise ValueError("there are no objects: the ground truth is not an instance map")
        if isinstance(self.objects, InstanceMaps):
            return score_instance_maps(self.objects.predicted, self.objects.truth)
        return score_objects(self.objects.predicted, self.objects.truth)
