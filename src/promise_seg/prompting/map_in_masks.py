"""The saliency of an auto-prompting module as a part of masks: of its own prompts, and of those that a person gives."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from promise_seg.prompting.apm import NOT_ASKED_FOR, Proposal
from promise_seg.prompting.map_decoders import resized
from promise_seg.sam.prompts import Prompts


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


def with_map_where_clicks_agree(
    mask_logits: Tensor, saliency_logits: Tensor, prompts: Prompts, share: float, side: int
) -> Tensor:
    """Masks for given prompts, in which a saliency has a share, all as logits.

    Where a click contradicts the saliency, the person is right: in the connected region around the click in which SAM's
    mask and the saliency disagree, SAM's mask is kept as it is.

    Args:
        mask_logits: SAM's masks.
        saliency_logits: of the same images.
        prompts: what SAM was asked.
        share: of the saliency, 0 to 1.
        side: of the model frame, in pixels.

    Shape: ``mask_logits`` (B, K, M, h, w) and ``saliency_logits`` (B, g, g) to (B, K, M, r, r), r the larger of both.
    """
    mask_logits, wide = _of_one_size(mask_logits, saliency_logits)
    mixed = (1 - share) * mask_logits + share * wide
    if prompts.points_xy_model is None or prompts.point_labels is None:
        return mixed
    labels, cells = prompts.point_labels, _cells(prompts.points_xy_model, side, wide.shape[-1])
    clicked = wide[:, 0, 0].flatten(1).gather(1, cells.flatten(1)).view_as(cells)
    contradicted = (labels >= 0) & ((clicked > 0) != (labels > 0))
    for image, number in contradicted.any(-1).nonzero().tolist():
        at = cells[image, number, contradicted[image, number]].cpu().numpy()
        for which, sam in enumerate(mask_logits[image, number]):
            kept = _disputed(sam, wide[image, 0, 0], at)
            mixed[image, number, which] = torch.where(kept, sam, mixed[image, number, which])
    return mixed


def _of_one_size(mask_logits: Tensor, saliency_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (B, K, M, r, r) and a saliency (B, 1, 1, r, r), of the larger side of both."""
    saliency = saliency_logits[:, None].to(mask_logits)
    side = max(mask_logits.shape[-1], saliency.shape[-1])
    wide = resized(mask_logits.flatten(1, 2), side).unflatten(1, mask_logits.shape[1:3])
    return wide, resized(saliency, side)[:, :, None]


def _cells(points_xy_model: Tensor, side: int, cells: int) -> Tensor:
    """The number of the cell of a map (cells, cells) that each point (..., 2) of the model frame lies in."""
    places = ((points_xy_model + 0.5) * (cells / side)).long().clamp(0, cells - 1)
    return places[..., 1] * cells + places[..., 0]


def _disputed(sam: Tensor, saliency: Tensor, cells: np.ndarray) -> Tensor:
    """The places where two maps of logits (r, r) disagree, connected with one of some cells: (r, r) bool."""
    disagree = ((sam > 0) != (saliency > 0)).cpu().numpy().astype(np.uint8)
    _, parts = cv2.connectedComponents(disagree, connectivity=8)
    numbers = np.unique(parts.ravel()[cells])
    return torch.from_numpy(np.isin(parts, numbers[numbers > 0])).to(sam.device)
