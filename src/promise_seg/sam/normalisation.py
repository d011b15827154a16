"""SAM's input scale."""

import torch
from torch import Tensor

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


def normalise(images: Tensor) -> Tensor:
    """``(value - mean) / std``. Shape: (B, H, W, 3) RGB in [0, 255], any type, to (B, 3, H, W) float32."""
    mean, std = (torch.tensor(v, device=images.device) for v in (PIXEL_MEAN, PIXEL_STD))
    return ((images.float() - mean) / std).permute(0, 3, 1, 2).contiguous()
