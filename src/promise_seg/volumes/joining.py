"""Combine the slices of a volume by a rule, and clean the mask in 3-D."""

import numpy as np
import torch

from promise_seg.arrays import BoolArray, Float32Array, Float64Array
from promise_seg.inference.masks import probs_in_image
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.vocabulary import Slices
from promise_seg.volumes.carrying import Carried
from promise_seg.volumes.collecting import CollectedSlices
from promise_seg.volumes.components import clean
from promise_seg.volumes.packed import PackedMasks

_WIDTH = 2.5
"""Radius of the kernel along the stack, in standard deviations."""


class JoinedProbs:
    """The probabilities of a volume's slices along one axis, after slices were combined.

    They are computed on each access, most efficiently in the order of the slices.

    Args:
        collected: all slices; with features if the rule is ``agree``.
        rule: how slices are combined.
        threshold: probability above which a pixel is foreground.
        carried: logits after carrying masks by this rule, if they were computed before; they do not depend on the
            rule's kernel and 3-D cleaning.
    """

    def __init__(
        self, collected: CollectedSlices, rule: VolumeRule, threshold: float, carried: Carried | None = None
    ) -> None:
        self.collected, self.rule = collected, rule
        agrees = rule.slices == Slices.AGREE and len(collected) > 1
        self._carried: Carried | None = None
        if agrees:
            self._carried = carried or Carried(collected, rule, threshold)
        self._weights = kernel(
            collected.stack.heights_mm(rule.step_mm), rule.sigma_mm(collected.stack.step_mm(rule.step_mm))
        )
        self._known: dict[int, Float32Array] = {}

    def __len__(self) -> int:
        return len(self.collected)

    def probs(self, number: int) -> Float32Array:
        """Return the probabilities (H, W) of a slice, in the image frame."""
        first, weights = self._weights[number]
        if len(weights) == 1:
            return self._alone(number)
        self._known = {at: value for at, value in self._known.items() if first <= at < first + len(weights)}
        geometry = self.collected.geometries[number]
        mixed, used = np.zeros((geometry.height, geometry.width)), 0.0
        for at, weight in enumerate(weights.tolist(), first):
            if at not in self._known:
                self._known[at] = self._alone(at)
            if self._known[at].shape == mixed.shape:  # slices of another size cannot be blended with this one
                mixed += weight * self._known[at].astype(np.float64)
                used += weight
        return np.asarray(mixed if used == 1 else mixed / used, np.float32)

    def _alone(self, number: int) -> Float32Array:
        logits = self.collected.own_logits(number) if self._carried is None else self._carried.logits(number)
        return probs_in_image(torch.from_numpy(logits), self.collected.geometries[number])

    def close(self) -> None:
        """Free the space of all temporary files; probabilities are not available afterwards."""
        self.collected.close()
        if self._carried is not None:
            self._carried.close()


class JoinedVolume:
    """The masks of a volume's slices, after slices were combined; packed, with eight voxels per byte.

    Args:
        collected, rule, carried: see :class:`JoinedProbs`.
        post: post-processing of each slice's probabilities.
        probs: probabilities to use instead of those of these slices, such as the mean over several axes.
    """

    def __init__(
        self,
        collected: CollectedSlices,
        rule: VolumeRule,
        post: PostProcessing,
        carried: Carried | None = None,
        probs: JoinedProbs | None = None,
    ) -> None:
        self._collected, self.rule = collected, rule
        self._probs = probs or JoinedProbs(collected, rule, post.threshold, carried)
        self.masks = PackedMasks([(one.height, one.width) for one in collected.geometries])
        for number in range(len(collected)):
            self.masks[number] = post.mask(self.probs(number))
        if rule.cleans:
            clean(self.masks, rule, collected.stack.voxel_mm3)

    def __len__(self) -> int:
        return len(self._collected)

    def probs(self, number: int) -> Float32Array:
        """Return the probabilities (H, W) of a slice in the image frame, before post-processing."""
        return self._probs.probs(number)

    def mask(self, number: int) -> BoolArray:
        """Return the mask (H, W) of a slice."""
        return self.masks[number]

    def close(self) -> None:
        """Free the space of all temporary files; masks stay available, but probabilities do not."""
        self._probs.close()

    def predicted_iou(self, number: int) -> float:
        """Return the predicted IoU of a slice's own mask."""
        return self._collected.predicted_iou[number]

    def notes(self) -> tuple[str, ...]:
        """Return notes on a volume with unknown spacing, each worded to follow the name of the volume."""
        return notes_on(self._collected, self.rule)


def notes_on(collected: CollectedSlices, rule: VolumeRule) -> tuple[str, ...]:
    """Return notes on steps of the rule that could not be applied as the spacing of the volume is unknown."""
    stack = collected.stack
    if stack.spacing is not None or len(collected) < 2:
        return ()
    why, notes = stack.lacking or "its spacing has a zero or non-finite value", []
    if rule.least_mm3:
        notes.append(f"small components were not removed, because {why}")
    if rule.sigma_mm(rule.step_mm):
        notes.append(f"a distance of {rule.step_mm:g} mm between its slices was assumed, because {why}")
    return tuple(notes)


def kernel(heights_mm: Float64Array, sigma_mm: float) -> list[tuple[int, Float64Array]]:
    """Return for each slice the first slice that it is blended with, and the weights from there on, which sum to 1.

    Args:
        heights_mm: position of each slice along the stack in mm, ascending.
        sigma_mm: standard deviation of the Gaussian kernel in mm; 0 for no blending.
    """
    found = []
    for number, height in enumerate(heights_mm):
        if sigma_mm <= 0:
            found.append((number, np.ones(1)))
            continue
        near = np.flatnonzero(np.abs(heights_mm - height) <= _WIDTH * sigma_mm)
        weights = np.exp(-0.5 * ((heights_mm[near] - height) / sigma_mm) ** 2)
        found.append((int(near[0]), weights / weights.sum()))
    return found
