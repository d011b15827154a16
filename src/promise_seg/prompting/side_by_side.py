"""Decoding of two batches of prompts of the same form for the same images in one call."""

import torch

from promise_seg.sam.decoded import Decoded
from promise_seg.sam.prompts import Prompts


def are_alike(one: Prompts, other: Prompts) -> bool:
    """Whether both have only points, in arrays of the same shape."""
    points = [prompts.points_xy_model for prompts in (one, other)]
    if points[0] is None or points[1] is None or points[0].shape != points[1].shape:
        return False
    return all(p.boxes_xyxy_model is None and p.mask_logits is None for p in (one, other))


def side_by_side(one: Prompts, other: Prompts) -> Prompts:
    """Join the sets of points of both for each image: (B, K, N, 2) and (B, L, N, 2) to (B, K + L, N, 2)."""
    parts = {
        name: torch.cat([getattr(one, name), getattr(other, name)], 1) for name in ("points_xy_model", "point_labels")
    }
    return Prompts(**parts)


def sets_of(decoded: Decoded, sets: slice) -> Decoded:
    """Return the decoder's outputs for some of the sets of each image."""
    return Decoded._make(None if part is None else part[:, sets] for part in decoded)
