"""Mixing the saliency of an auto-prompting module into masks, for its own prompts and for those that a person gives."""

from typing import NamedTuple, Self

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from promise_seg.arrays import BoolArray, Float32Array, IntArray
from promise_seg.prompting.apm import NOT_ASKED_FOR, Proposal
from promise_seg.prompting.map_decoders import resized
from promise_seg.prompting.separating import spread
from promise_seg.sam.prompts import BACKGROUND, FOREGROUND, Prompts

CERTAIN_LOGIT = 12.0
"""The logit, with a minus sign, of the saliency of one object where another object is."""


def with_map(mask_logits: Tensor, proposal: Proposal, share: float, *, apart: bool = False) -> Tensor:
    """Return masks mixed with the saliency of a proposal, all as logits.

    The masks are meant to be joined, so the whole saliency is mixed into each of them, and objects that SAM was not
    prompted for, as there are too many, are added from the saliency. With ``apart``, each set of prompts keeps its own
    object: the saliency in and around the regions of the other objects is taken to be background.

    Shape: ``mask_logits`` (B, K, M, h, w) to (B, K, M, r, r), r the larger of the sides of both; unchanged if the
        proposal has no saliency.
    """
    if proposal.saliency_logits is None:
        return mask_logits
    mask_logits, wide = _of_one_size(mask_logits, proposal.saliency_logits)
    if apart and proposal.regions is not None and proposal.numbers is not None:
        own = _own_cells(proposal.regions, proposal.numbers, mask_logits.shape[-1])
        wide = torch.where(own, wide, wide.clamp(max=-CERTAIN_LOGIT))
        return (1 - share) * mask_logits + share * wide
    mixed = (1 - share) * mask_logits + share * wide if share else mask_logits
    if proposal.regions is None or not bool((proposal.regions == NOT_ASKED_FOR).any()):
        return mixed
    size = mask_logits.shape[-2:]
    regions = F.interpolate(proposal.regions[:, None].to(mask_logits), size=size, mode="nearest")[:, :, None]
    return torch.where(regions == NOT_ASKED_FOR, torch.maximum(mixed, wide), mixed)


def _own_cells(regions: Tensor, numbers: Tensor, side: int) -> Tensor:
    """Return the cells (B, K, 1, side, side) that are in the region of each set's object, or nearest to it.

    Shape: ``regions`` (B, r, r) and ``numbers`` (B, K), see :class:`~promise_seg.prompting.apm.Proposal`.
    """
    nearest = np.stack([spread(one) for one in regions.cpu().numpy()])
    found = torch.from_numpy(nearest).to(regions.device)[:, None]
    sized = F.interpolate(found.float(), size=(side, side), mode="nearest").to(numbers.dtype)
    return (sized == numbers[:, :, None, None])[:, :, None]


def with_map_as_asked(
    mask_logits: Tensor, saliency_logits: Tensor, prompts: Prompts, share: float, side: int
) -> Tensor:
    """Return masks for given prompts, mixed with the saliency, all as logits; see :class:`MapAsAsked`.

    Args:
        mask_logits: SAM's masks.
        saliency_logits: saliency of the same images.
        prompts: prompts that SAM was given.
        share: share of the saliency, 0 to 1.
        side: side of the model frame, in pixels.

    Shape: ``mask_logits`` (B, K, M, h, w) and ``saliency_logits`` (B, g, g) to (B, K, M, r, r), r the larger of both.
    """
    return MapAsAsked.of(mask_logits, saliency_logits, prompts, side).with_share(share)


class MapAsAsked(NamedTuple):
    """SAM's masks for given prompts, the saliency of the same images, and where the saliency may change the masks.

    The saliency does not depend on the prompts, so the prompts limit its effect:

    - It adds only to what was asked for: its connected components that overlap SAM's mask or a foreground click and, if
      there is a box, only inside the box. If no component was asked for, SAM's mask is kept unchanged.
    - If a click contradicts the saliency, SAM's mask is kept in the connected region around the click: for a foreground
      click the region that only SAM's mask covers, for a background click the region that only the saliency covers.

    Shape:
        mask_logits: (B, K, M, r, r).
        saliency_logits: (B, 1, 1, r, r).
        adds: (B, K, M, r, r) bool, where the saliency may add to a mask; elsewhere it can only remove.
        keeps: (B, K, M, r, r) bool, where masks are unchanged.
    """

    mask_logits: Tensor
    saliency_logits: Tensor
    adds: Tensor
    keeps: Tensor

    @classmethod
    def of(cls, mask_logits: Tensor, saliency_logits: Tensor, prompts: Prompts, side: int) -> Self:
        """Find where the saliency may change masks; the arguments are those of :func:`with_map_as_asked`."""
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
        """Return masks (B, K, M, r, r) with a share of the saliency, 0 to 1, within the limits of the prompts."""
        mixed = (1 - share) * self.mask_logits + share * self.saliency_logits
        limited = torch.where(self.adds, mixed, torch.minimum(mixed, self.mask_logits))
        return torch.where(self.keeps, self.mask_logits, limited)


def _of_one_size(mask_logits: Tensor, saliency_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Resize masks to (B, K, M, r, r) and a saliency to (B, 1, 1, r, r), with r the larger of their sides."""
    saliency = saliency_logits[:, None].to(mask_logits)
    side = max(mask_logits.shape[-1], saliency.shape[-1])
    wide = resized(mask_logits.flatten(1, 2), side).unflatten(1, mask_logits.shape[1:3])
    return wide, resized(saliency, side)[:, :, None]


def _clicks(prompts: Prompts, image: int, number: int, side: int, cells: int) -> tuple[IntArray, IntArray]:
    """Return the flat indices of the cells of a map (cells, cells) with the clicks of a set, and their labels: (N,)."""
    if prompts.points_xy_model is None or prompts.point_labels is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    places = _cell(prompts.points_xy_model[image, number].cpu().numpy(), side, cells)
    return places[:, 1] * cells + places[:, 0], prompts.point_labels[image, number].cpu().numpy()


def _cell(xy_model: Float32Array, side: int, cells: int) -> IntArray:
    """Return the column and row of the cell of a map (cells, cells) for each point (..., 2) in the model frame."""
    return ((xy_model + 0.5) * (cells / side)).astype(np.int64).clip(0, cells - 1)


def _inside(box_xyxy_model: Tensor, side: int, cells: int) -> BoolArray:
    """Return a mask (cells, cells) of the cells that a box (4,) in the model frame covers."""
    left, top, right, bottom = _cell(box_xyxy_model.cpu().numpy(), side, cells)
    inside = np.zeros((cells, cells), bool)
    inside[top : bottom + 1, left : right + 1] = True
    return inside


def _parts(mask: BoolArray) -> IntArray:
    """Number the 8-connected components of a mask (r, r) from 1; the background is 0."""
    return np.asarray(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1])


def _touched(parts: IntArray, cells: IntArray, mask: BoolArray | None = None) -> BoolArray:
    """Return a mask (r, r) of the components that contain any of the cells (N,), or that overlap a mask (r, r)."""
    numbers = parts.ravel()[cells] if mask is None else np.append(parts[mask], parts.ravel()[cells])
    return np.isin(parts, numbers[numbers > 0])
