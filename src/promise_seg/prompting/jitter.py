"""Jitter: clicks that miss a little."""

import numpy as np
import torch

from promise_seg.sam.prompts import Prompts


def jittered(prompts: Prompts, sigma: float, side: int, rng: np.random.Generator, draws: int = 1) -> Prompts:
    """Move points at random within the model frame; labels are kept. Returns points on the CPU.

    Shape: points (B, 1, N, 2) become (B, draws, N, 2); ``sigma`` and ``side`` are in pixels of the model frame.
    Raises: ValueError if there are no points.
    """
    if prompts.points_xy_model is None or prompts.point_labels is None:
        raise ValueError("only points can be jittered")
    points_xy_model = prompts.points_xy_model.cpu().expand(-1, draws, -1, -1)
    noise = torch.from_numpy(rng.normal(0, sigma, tuple(points_xy_model.shape)).astype(np.float32))
    return Prompts(
        points_xy_model=(points_xy_model + noise).clamp(0, side - 1),
        point_labels=prompts.point_labels.cpu().expand(-1, draws, -1),
    )
