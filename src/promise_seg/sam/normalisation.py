"""The normalisation of input images for SAM."""

import torch
from torch import Tensor

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


HALF = (127.5, 127.5, 127.5)
"""The mean and the standard deviation for input images of SAM 3."""


def normalise(images: Tensor, mean: tuple[float, ...] = PIXEL_MEAN, std: tuple[float, ...] = PIXEL_STD) -> Tensor:
    """Return ``(value - mean) / std``. Shape: (B, H, W, 3) RGB in [0, 255], any type, to (B, 3, H, W) float32."""
    centre, spread = (torch.tensor(v, device=images.device) for v in (mean, std))
    return ((images.float() - centre) / spread).permute(0, 3, 1, 2).contiguous()
