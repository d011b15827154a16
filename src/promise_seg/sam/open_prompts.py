"""Prompts with variable numbers of points and boxes, for decoders that are exported as a graph.

The library's prompt encoder has separate branches for points, boxes and masks. A graph has no branches, so here any of
them may be empty instead.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class OpenPrompts:
    """K sets of prompts of one image.

    Shape:
        points_xy_model: (K, N, 2), (x, y) pixels in the model frame; N may be 0.
        point_labels: (K, N), 1 foreground, 0 background; no padding.
        boxes_xyxy_model: (K, Q, 4), in the model frame, where Q is 0 or 1.
        mask_logits: (K, 4h, 4w); (1, 4h, 4w) if they are not used.
        has_mask: (1,) bool, whether ``mask_logits`` are used.
    """

    points_xy_model: Tensor
    point_labels: Tensor
    boxes_xyxy_model: Tensor
    mask_logits: Tensor
    has_mask: Tensor


def embed(encoder: Any, prompts: OpenPrompts) -> tuple[Tensor, Tensor]:
    """Embed prompts like the prompt encoder in ``transformers`` of SAM, SAM-HQ, SAM 2 or a relative.

    Returns:
        The tokens of points and boxes (K, 1, T, C), where T is 0 if there are none, and the masks (K, C, h, w).
    """
    points, boxes = prompts.points_xy_model, prompts.boxes_xyxy_model
    sets = points.shape[0]
    kinds = _kinds_of_points(encoder)
    blank = encoder.not_a_point_embed.weight.expand(sets, 1, -1)
    of_points = _code(encoder, points[:, None])[:, 0] + kinds[:2][prompts.point_labels]
    closing = blank[:, boxes.shape[1] :][:, : points.shape[1]]  # after points, unless there is a box
    corners = _code(encoder, boxes.reshape(sets, -1, 2, 2)) + kinds[2:]
    if _is_of_sam2(encoder):
        corners = torch.cat([corners, blank[:, None].expand(-1, boxes.shape[1], -1, -1)], 2)
    sparse = torch.cat([of_points, closing, corners.flatten(1, 2)], 1)
    of_masks = encoder.mask_embed(prompts.mask_logits[:, None])
    no_masks = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(sets, -1, *encoder.image_embedding_size)
    return sparse[:, None], torch.where(prompts.has_mask, of_masks, no_masks)


def _code(encoder: Any, points: Tensor) -> Tensor:
    """Return the position code of points (..., 2), where integers are pixel centres."""
    code: Tensor = encoder.shared_embedding((points + 0.5) / encoder.input_image_size)
    return code


def _kinds_of_points(encoder: Any) -> Tensor:
    """Return the embeddings of the kinds of points, (4, C): background, foreground, first and last corner of a box."""
    kinds = encoder.point_embed
    return kinds.weight if _is_of_sam2(encoder) else torch.cat([kind.weight for kind in kinds])


def _is_of_sam2(encoder: Any) -> bool:
    return isinstance(encoder.point_embed, torch.nn.Embedding)
