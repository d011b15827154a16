"""One mask of a volume: its slices together as a rule says, cleaned in 3-D."""

import numpy as np
import torch

from promise_seg.arrays import BoolArray, Float32Array, Float64Array
from promise_seg.inference.masks import probs_in_image
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.vocabulary import Slices
from promise_seg.volumes.carrying import Carried
from promise_seg.volumes.collecting import Collected
from promise_seg.volumes.components import clean
from promise_seg.volumes.packed import PackedMasks

_WIDTH = 2.5
"""The reach of the kernel along the stack, in standard deviations."""


class JoinedProbs:
    """The probabilities of a volume's slices along one axis, as they are together.

    They are made again when they are asked for, best in the order of the slices.

    Args:
        collected: all slices; with features, if slices are to agree.
        rule: how they come together.
        threshold: the probability above which a pixel of a slice is in its mask.
        carried: the logits of slices that agree by this rule, if they are known already; whatever its kernel is, and
            what it does in 3-D, they are the same.
    """

    def __init__(
        self, collected: Collected, rule: VolumeRule, threshold: float, carried: Carried | None = None
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
            if self._known[at].shape == mixed.shape:  # a slice of another size does not lie over this one
                mixed += weight * self._known[at].astype(np.float64)
                used += weight
        return np.asarray(mixed if used == 1 else mixed / used, np.float32)

    def _alone(self, number: int) -> Float32Array:
        logits = self.collected.own_logits(number) if self._carried is None else self._carried.logits(number)
        return probs_in_image(torch.from_numpy(logits), self.collected.geometries[number])

    def close(self) -> None:
        """Free the space of all temporary files; probabilities cannot be asked for any more."""
        self.collected.close()
        if self._carried is not None:
            self._carried.close()


class JoinedVolume:
    """The masks of a volume's slices as they are together.

    Masks are packed, eight voxels to a byte.

    Args:
        collected, rule, carried: see :class:`JoinedProbs`.
        post: what is done to the probabilities of each slice.
        probs: the probabilities, where they are not those of these slices alone.
    """

    def __init__(
        self,
        collected: Collected,
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
        """Return the probabilities (H, W) of a slice, in the image frame, before they become a mask."""
        return self._probs.probs(number)

    def mask(self, number: int) -> BoolArray:
        """Return the mask (H, W) of a slice."""
        return self.masks[number]

    def close(self) -> None:
        """Free the space of all temporary files; masks stay, probabilities cannot be asked for any more."""
        self._probs.close()

    def predicted_iou(self, number: int) -> float:
        """Return the IoU that was predicted for a slice's own mask."""
        return self._collected.predicted_iou[number]

    def notes(self) -> tuple[str, ...]:
        """Return what must be said of a volume whose distances are not known: words that follow its name."""
        return notes_on(self._collected, self.rule)


def notes_on(collected: Collected, rule: VolumeRule) -> tuple[str, ...]:
    """Return what could not be done as the rule says, as the distances in the volume are not known."""
    stack = collected.stack
    if stack.spacing is not None or len(collected) < 2:
        return ()
    why, notes = stack.lacking or "its distances are zero or no numbers", []
    if rule.least_mm3:
        notes.append(f"no component is left out for its size, as {why}")
    if rule.sigma_mm(rule.step_mm):
        notes.append(f"its slices are taken to be {rule.step_mm:g} mm apart, as {why}")
    return tuple(notes)


def kernel(heights_mm: Float64Array, sigma_mm: float) -> list[tuple[int, Float64Array]]:
    """Return for each slice the first slice that it is blended with and the weights from there on, whose sum is 1.

    Args:
        heights_mm: the place of each slice along the stack, ascending.
        sigma_mm: the standard deviation of a Gaussian kernel; 0 for no blending.
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
