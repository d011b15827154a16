"""Signals of an image that need no ground truth and are informative about the quality of its mask."""

from dataclasses import dataclass, replace
from math import ceil, floor, log

import numpy as np
import torch
from torch import Tensor

from promise_seg.arrays import BoolArray, Float32Array
from promise_seg.images.geometry import Geometry
from promise_seg.inference.masks import decode_one, probs_in_image
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import Proposal
from promise_seg.prompting.jitter import jittered
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import PER_SET
from promise_seg.trust.neighbours import Neighbours, pooled

DRAWS = 8
_MOST_SETS = 64  # of jittered prompts, if there are several objects
JITTER = 0.02
"""The standard deviation of the jitter of points, as a share of the side of the model frame."""


@dataclass(frozen=True)
class Signals:
    """The signals of one image and of the mask that a model makes of it with its own prompts.

    Args:
        predicted_iou: SAM's own estimate of the mask's IoU.
        agreement: the mean Dice of the mask with those from jittered points; 1 if all of them are empty.
        distance: the distance of the image to the training images (:meth:`Neighbours.distance`).
        soft_dice: the expected Dice if the mask's probabilities were calibrated (:func:`soft_dice`).
        peak: the largest probability of the mask.
        area_share: the share of the image that the mask covers, after post-processing.
    """

    predicted_iou: float
    agreement: float
    distance: float
    soft_dice: float
    peak: float
    area_share: float

    @property
    def log_area(self) -> float:
        """The natural logarithm of the area share, or of one millionth if that is larger."""
        return log(max(self.area_share, 1e-6))

    def values(self, names: tuple[str, ...]) -> list[float]:
        """Return the named signals; ``log_area`` is a valid name too."""
        return [float(getattr(self, name)) for name in names]


@dataclass(frozen=True)
class MaskWithSignals:
    """A model's own mask (H, W) of one image in the image frame, with its signals."""

    mask: BoolArray
    signals: Signals


@torch.no_grad()
def measure_signals(
    model: PromiseModel, features: Features, geometry: Geometry, neighbours: Neighbours
) -> MaskWithSignals:
    """Decode the masks of one image for the model's own prompts and for jittered copies, and measure the signals.

    Every image's prompts are jittered by the same random pattern, so that nothing depends on other images or their
    order. If there are many objects, there are fewer copies.

    Args:
        model: a model with an APM, in evaluation mode.
        features: the features of one image.
        geometry: the geometry of that image.
        neighbours: the training images of the model.
    """
    side = model.sam.image_size
    own = model.propose(features).to("cpu")
    sets = own.per_image
    moved = jittered(own, JITTER * side, side, np.random.default_rng(0), max(1, min(DRAWS, _MOST_SETS // sets)))
    masks, iou = decode_one(model, features, _together(own, moved), geometry).chosen(model.config.mask_choice)
    mask_logits, iou = masks.unflatten(0, (-1, sets)).amax(1), iou.unflatten(0, (-1, sets)).mean(1)
    mask_probs = probs_in_image(mask_logits[0], geometry)
    mask = model.config.postprocessing.mask(mask_probs)
    low_res = content_of(mask_logits.sigmoid(), geometry) > model.config.postprocessing.threshold
    signals = Signals(
        predicted_iou=float(iou[0]),
        agreement=agreement(low_res[0], low_res[1:]),
        distance=neighbours.distance(pooled(features.embedding)[0]),
        soft_dice=soft_dice(mask_probs, mask),
        peak=float(mask_probs.max()),
        area_share=float(mask.mean()),
    )
    return MaskWithSignals(mask, signals)


def _together(first: Proposal, second: Proposal) -> Proposal:
    """Concatenate the sets of prompts of two proposals along K."""
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in PER_SET}
    return replace(first, **{name: None if pair[0] is None else torch.cat(pair, 1) for name, pair in pairs.items()})


def content_of(masks: Tensor, geometry: Geometry) -> Tensor:
    """Crop low-resolution masks (..., h, h), over the whole model frame, to the content without padding."""
    scale = masks.shape[-1] / geometry.side
    left, top, right, bottom = (edge * scale for edge in geometry.content)
    return masks[..., floor(top) : ceil(bottom), floor(left) : ceil(right)]


def soft_dice(mask_probs: Float32Array, mask: BoolArray) -> float:
    """Return the expected Dice of a mask (H, W) if the probabilities (H, W) were calibrated.

    Source: Borges et al. 2024, "Soft Dice Confidence". For an empty mask, this returns 1 minus the peak instead of 0.
    """
    if not mask.any():
        return 1 - float(mask_probs.max())
    return 2 * float(mask_probs[mask].sum(dtype=np.float64)) / float(mask_probs.sum(dtype=np.float64) + mask.sum())


def agreement(mask: Tensor, others: Tensor) -> float:
    """Return the mean Dice of a mask (h, w) with other masks (K, h, w), all bool; two empty masks agree.

    Computed on the CPU, as Apple's GPUs have no double precision.
    """
    mask, others = mask.cpu(), others.cpu()
    hits = (mask & others).sum((1, 2)).double()
    sizes = (mask.sum() + others.sum((1, 2))).double()
    return float(torch.where(sizes > 0, 2 * hits / sizes.clamp(min=1), 1.0).mean())
