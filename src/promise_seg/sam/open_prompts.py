"""Prompts whose numbers are not fixed, for a decoder that becomes a graph: nothing here asks which of them are there.

A library's prompt encoder goes other ways for points, boxes and masks; a graph has one way, along which any of them may
be empty.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class OpenPrompts:
    """K sets of prompts of one image.

    Shape:
        points_xy_model: (K, N, 2), of any N, in the model frame.
        point_labels: (K, N), 1 foreground, 0 background; no padding.
        boxes_xyxy_model: (K, Q, 4), Q being 0 or 1.
        mask_logits: (K, 4h, 4w), or (1, 4h, 4w) where they do not count.
        has_mask: (1,) bool, whether masks count.
    """

    points_xy_model: Tensor
    point_labels: Tensor
    boxes_xyxy_model: Tensor
    mask_logits: Tensor
    has_mask: Tensor


def embed(encoder: Any, prompts: OpenPrompts) -> tuple[Tensor, Tensor]:
    """Embed prompts as a prompt encoder of ``transformers`` does: that of SAM, SAM-HQ, SAM 2 or a relative.

    Returns:
        The tokens of points and boxes (K, 1, T, C), T being 0 where there are none, and the masks (K, C, h, w).
    """
    points, boxes = prompts.points_xy_model, prompts.boxes_xyxy_model
    sets = points.shape[0]
    kinds = _kinds_of_points(encoder)
    blank = encoder.not_a_point_embed.weight.expand(sets, 1, -1)
    of_points = _code(encoder, points[:, None])[:, 0] + kinds[:2][prompts.point_labels]
    closing = blank[:, boxes.shape[1] :][:, : points.shape[1]]  # follows points, but no box
    corners = _code(encoder, boxes.reshape(sets, -1, 2, 2)) + kinds[2:]
    if _is_of_sam2(encoder):
        corners = torch.cat([corners, blank[:, None].expand(-1, boxes.shape[1], -1, -1)], 2)
    sparse = torch.cat([of_points, closing, corners.flatten(1, 2)], 1)
    of_masks = encoder.mask_embed(prompts.mask_logits[:, None])
    no_masks = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(sets, -1, *encoder.image_embedding_size)
    return sparse[:, None], torch.where(prompts.has_mask, of_masks, no_masks)


def _code(encoder: Any, points: Tensor) -> Tensor:
    """The code of positions of points (..., 2), whole numbers being pixel centres."""
    code: Tensor = encoder.shared_embedding((points + 0.5) / encoder.input_image_size)
    return code


def _kinds_of_points(encoder: Any) -> Tensor:
    """The embeddings of points by their kind, (4, C): background, foreground, first and last corner of a box."""
    kinds = encoder.point_embed
    return kinds.weight if _is_of_sam2(encoder) else torch.cat([kind.weight for kind in kinds])


def _is_of_sam2(encoder: Any) -> bool:
    return isinstance(encoder.point_embed, torch.nn.Embedding)
