"""The saliency of an auto-prompting module as a part of masks: of its own prompts, and of those that a person gives."""

from typing import NamedTuple, Self

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from promise_seg.arrays import BoolArray, Float32Array, IntArray
from promise_seg.prompting.apm import NOT_ASKED_FOR, Proposal
from promise_seg.prompting.map_decoders import resized
from promise_seg.sam.prompts import BACKGROUND, FOREGROUND, Prompts


def with_map(mask_logits: Tensor, proposal: Proposal, share: float) -> Tensor:
    """Masks in which the saliency of a proposal has a share, all as logits.

    Objects that SAM was not asked for, as there are too many, are as the saliency has them.

    Shape: ``mask_logits`` (B, K, M, h, w), and the same returned.
    """
    if proposal.saliency_logits is None:
        return mask_logits
    mask_logits, wide = _of_one_size(mask_logits, proposal.saliency_logits)
    mixed = (1 - share) * mask_logits + share * wide if share else mask_logits
    if proposal.regions is None or not bool((proposal.regions == NOT_ASKED_FOR).any()):
        return mixed
    size = mask_logits.shape[-2:]
    regions = F.interpolate(proposal.regions[:, None].to(mask_logits), size=size, mode="nearest")[:, :, None]
    return torch.where(regions == NOT_ASKED_FOR, torch.maximum(mixed, wide), mixed)


def with_map_as_asked(
    mask_logits: Tensor, saliency_logits: Tensor, prompts: Prompts, share: float, side: int
) -> Tensor:
    """Masks for given prompts, in which a saliency has a share, all as logits; see :class:`MapAsAsked`.

    Args:
        mask_logits: SAM's masks.
        saliency_logits: of the same images.
        prompts: what SAM was asked.
        share: of the saliency, 0 to 1.
        side: of the model frame, in pixels.

    Shape: ``mask_logits`` (B, K, M, h, w) and ``saliency_logits`` (B, g, g) to (B, K, M, r, r), r the larger of both.
    """
    return MapAsAsked.of(mask_logits, saliency_logits, prompts, side).with_share(share)


class MapAsAsked(NamedTuple):
    """SAM's masks for given prompts, the saliency of the same images, and where it may change them.

    The saliency knows nothing of the prompts, so they limit what it does:

    - It adds only to what was asked for: to its connected parts that overlap SAM's mask or a foreground click and,
      where there is a box, inside of the box. Where no part of it was asked for, SAM's mask is kept as it is.
    - Where a click contradicts it, SAM's mask is kept: for a foreground click where SAM's mask is larger, for a
      background click where it is smaller, in the connected region around the click.

    Shape:
        mask_logits: (B, K, M, r, r).
        saliency_logits: (B, 1, 1, r, r).
        adds: (B, K, M, r, r) bool, where the saliency may add to a mask; elsewhere it only takes away.
        keeps: (B, K, M, r, r) bool, where masks stay as they are.
    """

    mask_logits: Tensor
    saliency_logits: Tensor
    adds: Tensor
    keeps: Tensor

    @classmethod
    def of(cls, mask_logits: Tensor, saliency_logits: Tensor, prompts: Prompts, side: int) -> Self:
        """Find the limits; the arguments are those of :func:`with_map_as_asked`."""
        mask_logits, wide = _of_one_size(mask_logits, saliency_logits)
        is_mask, is_salient = (mask_logits > 0).cpu().numpy(), (wide > 0)[:, 0, 0].cpu().numpy()
        adds, keeps = np.zeros(is_mask.shape, bool), np.zeros(is_mask.shape, bool)
        parts = [_parts(one) for one in is_salient]
        for image, number, which in np.ndindex(is_mask.shape[:3]):
            cells, labels = _clicks(prompts, image, number, side, wide.shape[-1])
            one, salient = is_mask[image, number, which], is_salient[image]
            adds[image, number, which] = _touched(parts[image], cells[labels > 0], one)
            if prompts.boxes_xyxy_model is not None:
                adds[image, number, which] &= _inside(prompts.boxes_xyxy_model[image, number], side, wide.shape[-1])
            keeps[image, number, which] = not adds[image, number, which].any()
            for label, more in ((FOREGROUND, one & ~salient), (BACKGROUND, salient & ~one)):
                clicked = cells[labels == label]
                if more.ravel()[clicked].any():
                    keeps[image, number, which] |= _touched(_parts(more), clicked)
        return cls(mask_logits, wide, *(torch.from_numpy(one).to(wide.device) for one in (adds, keeps)))

    def with_share(self, share: float) -> Tensor:
        """Masks (B, K, M, r, r) in which the saliency has a share, 0 to 1, within the limits."""
        mixed = (1 - share) * self.mask_logits + share * self.saliency_logits
        limited = torch.where(self.adds, mixed, torch.minimum(mixed, self.mask_logits))
        return torch.where(self.keeps, self.mask_logits, limited)


def _of_one_size(mask_logits: Tensor, saliency_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (B, K, M, r, r) and a saliency (B, 1, 1, r, r), of the larger side of both."""
    saliency = saliency_logits[:, None].to(mask_logits)
    side = max(mask_logits.shape[-1], saliency.shape[-1])
    wide = resized(mask_logits.flatten(1, 2), side).unflatten(1, mask_logits.shape[1:3])
    return wide, resized(saliency, side)[:, :, None]


def _clicks(prompts: Prompts, image: int, number: int, side: int, cells: int) -> tuple[IntArray, IntArray]:
    """The numbers of the cells of a map (cells, cells) that the clicks of a set are in, and their labels, (N,) each."""
    if prompts.points_xy_model is None or prompts.point_labels is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    places = _cell(prompts.points_xy_model[image, number].cpu().numpy(), side, cells)
    return places[:, 1] * cells + places[:, 0], prompts.point_labels[image, number].cpu().numpy()


def _cell(xy_model: Float32Array, side: int, cells: int) -> IntArray:
    """The column and row of the cell of a map (cells, cells) that each point (..., 2) of the model frame is in."""
    return ((xy_model + 0.5) * (cells / side)).astype(np.int64).clip(0, cells - 1)


def _inside(box_xyxy_model: Tensor, side: int, cells: int) -> BoolArray:
    """The cells (cells, cells) that a box (4,) of the model frame covers."""
    left, top, right, bottom = _cell(box_xyxy_model.cpu().numpy(), side, cells)
    inside = np.zeros((cells, cells), bool)
    inside[top : bottom + 1, left : right + 1] = True
    return inside


def _parts(mask: BoolArray) -> IntArray:
    """The connected parts of a mask (r, r), numbered from 1, also across corners; 0 where there is none."""
    return np.asarray(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1])


def _touched(parts: IntArray, cells: IntArray, mask: BoolArray | None = None) -> BoolArray:
    """The parts (r, r) that some of the cells (N,) are in, or that a mask (r, r) overlaps."""
    numbers = parts.ravel()[cells] if mask is None else np.append(parts[mask], parts.ravel()[cells])
    return np.isin(parts, numbers[numbers > 0])
