"""Decode features and prompts to masks in the image frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from promise_seg.arrays import Float32Array
from promise_seg.images.geometry import Geometry
from promise_seg.model import PromiseModel, choose_mask
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.backbone import Decoded
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskChoice


def probs_in_image(mask_logits: Tensor, geometry: Geometry) -> Float32Array:
    """Resize logits to the image and turn them into probabilities.

    Shape: low-resolution logits (..., h, h) over the whole model frame, on any device, to (..., H, W) float32 in [0, 1]
        in the image frame.
    """
    return geometry.logits_to_image(mask_logits).sigmoid().float().cpu().numpy()


@dataclass(frozen=True)
class Masks:
    """All masks of one image: K sets of prompts with M candidates each.

    Shape: ``mask_logits`` (K, M, h, h), unbounded, over the whole model frame; ``iou`` (K, M), SAM's own estimate of
        each candidate's IoU; ``learned_iou`` (K, M), the estimate of a trained model, or ``None``.
    """

    mask_logits: Tensor
    iou: Tensor
    geometry: Geometry
    learned_iou: Tensor | None = None

    def to(self, device: torch.device | str) -> "Masks":
        """Return the same masks on a device."""
        learned = None if self.learned_iou is None else self.learned_iou.to(device)
        return Masks(self.mask_logits.to(device), self.iou.to(device), self.geometry, learned)

    def chosen(self, choice: MaskChoice) -> tuple[Tensor, Tensor]:
        """Choose one candidate for each set of prompts: logits (K, h, h) and predicted IoU (K,)."""
        learned = None if self.learned_iou is None else self.learned_iou[None]
        one = choose_mask(Decoded(self.mask_logits[None], self.iou[None], learned_iou=learned), choice)
        return one.mask_logits[0], one.iou[0]

    def sets(self, indices: Tensor) -> "Masks":
        """Return the masks of some sets of prompts, by index (k,) on the device of the masks."""
        learned = None if self.learned_iou is None else self.learned_iou[indices]
        return Masks(self.mask_logits[indices], self.iou[indices], self.geometry, learned)

    def predicted_iou(self, choice: MaskChoice) -> float:
        """Return the mean estimate of the IoU over the sets of prompts."""
        return float(self.chosen(choice)[1].mean())

    def union(self, choice: MaskChoice) -> "Masks":
        """Return the union over all sets of prompts as one set; if there are several, of their chosen candidates."""
        if len(self.iou) == 1:
            return self
        mask_logits, iou = self.chosen(choice)
        return Masks(mask_logits.amax(0)[None, None], iou.mean()[None, None], self.geometry)

    def probs(self, choice: MaskChoice) -> Float32Array:
        """Return probabilities (H, W) in the image frame: the union of the chosen candidates of all sets of prompts."""
        return probs_in_image(self.chosen(choice)[0].amax(0), self.geometry)

    def probs_of_set(self, number: int, choice: MaskChoice) -> Float32Array:
        """Return probabilities (H, W) in the image frame for the chosen candidate of one set of prompts."""
        return probs_in_image(self.chosen(choice)[0][number], self.geometry)

    def probs_of_candidates(self, number: int) -> Float32Array:
        """Return probabilities (M, H, W) in the image frame for all candidates of one set of prompts."""
        return probs_in_image(self.mask_logits[number], self.geometry)


def decode_masks(
    model: PromiseModel, features: Features, prompts: Prompts, geometries: Sequence[Geometry], *, apart: bool = False
) -> list[Masks]:
    """Decode the masks of B images, one entry for each.

    Args:
        model: a model of any variant, in evaluation mode; an IPS shifts its mask tokens.
        features: the features of B images, on the model's device.
        prompts: the prompts for B images with K sets of prompts each, in the model frame, on any device.
        geometries: the map between image frame and model frame of each image.
        apart: whether each set of the model's own prompts shall have the mask of its own object, instead of a mask
            that is meant to be joined with the others.
    """
    prompts = prompts.to(model.device)
    decoded = model.decode(features, prompts, apart=apart)
    learned = decoded.learned_iou
    found = []
    for number, geometry in enumerate(geometries):
        of_image = None if learned is None else learned[number]
        masks = Masks(decoded.mask_logits[number], decoded.iou[number], geometry, of_image)
        own = prompts.own_sets(number) if isinstance(prompts, Proposal) else None
        found.append(masks if own is None else masks.sets(own))
    return found


@torch.no_grad()
def decode_one(
    model: PromiseModel, features: Features, prompts: Prompts, geometry: Geometry, *, apart: bool = False
) -> Masks:
    """Decode the masks of one image, for K sets of prompts at once; see :func:`decode_masks`."""
    return decode_masks(model, features, prompts, [geometry], apart=apart)[0]
