"""Jitter of prompts: clicks and boxes that are slightly off."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from promise_seg.sam.prompts import PER_SET, Prompts

AnyPrompts = TypeVar("AnyPrompts", bound=Prompts)


def jittered(prompts: AnyPrompts, sigma: float, side: int, rng: np.random.Generator, draws: int = 1) -> AnyPrompts:
    """Move points and the sides of boxes at random within the model frame; labels are kept. Return prompts on the CPU.

    Shape: each of K sets becomes ``draws`` sets, all first draws before all second draws: points (B, K, N, 2) become
        (B, draws * K, N, 2), boxes likewise. ``sigma``, the standard deviation, and ``side`` are in pixels of the model
        frame; boxes have a width and height of at least a pixel.
    Raises: ValueError if there are neither points nor boxes.
    """
    if prompts.points_xy_model is None and prompts.boxes_xyxy_model is None:
        raise ValueError("only points and boxes can be jittered")

    def repeated(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.cpu().repeat(1, draws, *(1 for _ in part.shape[2:]))

    def moved(part: Tensor | None) -> Tensor | None:
        wide = repeated(part)
        if wide is None:
            return None
        return (wide + torch.from_numpy(rng.normal(0, sigma, tuple(wide.shape)).astype(np.float32))).clamp(0, side - 1)

    boxes = moved(prompts.boxes_xyxy_model)
    if boxes is not None:
        first = torch.minimum(boxes[..., :2], boxes[..., 2:]).clamp(max=side - 2)
        boxes = torch.cat([first, torch.maximum(torch.maximum(boxes[..., :2], boxes[..., 2:]), first + 1)], -1)
    rest = {name: repeated(getattr(prompts, name)) for name in PER_SET if name in ("point_labels", "mask_logits")}
    return replace(prompts.to("cpu"), points_xy_model=moved(prompts.points_xy_model), boxes_xyxy_model=boxes, **rest)
