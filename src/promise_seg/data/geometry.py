"""Between the image frame (the user's pixels) and the model frame (the square that the encoder sees), both ways."""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

Uint8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


class Fit(StrEnum):
    """How a rectangle becomes a square: ``stretch`` as ProMISe does, or ``pad`` at the right or bottom as SAM does."""

    STRETCH = "stretch"
    PAD = "pad"


@dataclass(frozen=True)
class Geometry:
    """The invertible map between one image's frame and the model frame.

    Coordinates are (x, y) pixel indices in both frames: whole numbers are pixel centres, so the left edge of an image
    lies at -0.5.

    Args:
        height, width: of the image, in pixels.
        side: of the model frame, in pixels.
        fit: how the one becomes the other.
    """

    height: int
    width: int
    side: int
    fit: Fit = Fit.STRETCH

    @property
    def content(self) -> tuple[int, int]:
        """Height and width of the image's content in the model frame, in pixels; the rest is padding."""
        if self.fit == Fit.STRETCH:
            return self.side, self.side
        scale = self.side / max(self.height, self.width)
        return max(1, round(self.height * scale)), max(1, round(self.width * scale))

    @property
    def _scale_xy(self) -> FloatArray:
        height, width = self.content
        return np.array([width / self.width, height / self.height], np.float32)

    def _resized(self, values: npt.NDArray) -> npt.NDArray:
        height, width = self.content
        shrinks = height * width < self.height * self.width
        resized = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        padded = np.zeros((self.side, self.side, *resized.shape[2:]), resized.dtype)
        padded[:height, :width] = resized
        return padded

    def image_to_model(self, image: Uint8Array) -> Uint8Array:
        """(H, W, 3) uint8 to (S, S, 3) uint8; padding is black."""
        return self._resized(image)

    def mask_to_model(self, mask: BoolArray) -> BoolArray:
        """(H, W) bool to (S, S) bool; padding is background."""
        return self._resized(mask.astype(np.float32)) >= 0.5

    def points_to_model(self, points_xy: FloatArray) -> FloatArray:
        """(..., 2) pixel indices in the image frame to pixel indices in the model frame."""
        return ((points_xy + 0.5) * self._scale_xy - 0.5).astype(np.float32)

    def points_to_image(self, points_xy: FloatArray) -> FloatArray:
        """(..., 2) pixel indices in the model frame to pixel indices in the image frame."""
        return ((points_xy + 0.5) / self._scale_xy - 0.5).astype(np.float32)

    def logits_to_image(self, mask_logits: Tensor) -> Tensor:
        """Low-resolution logits (..., h, h), over the whole model frame, to (..., H, W) in the image frame."""
        shape = mask_logits.shape[:-2]
        flat = mask_logits.reshape(1, -1, *mask_logits.shape[-2:])
        if self.fit == Fit.PAD:
            flat = F.interpolate(flat, size=(self.side, self.side), mode="bilinear", align_corners=False)
            height, width = self.content
            flat = flat[..., :height, :width]
        full = F.interpolate(flat, size=(self.height, self.width), mode="bilinear", align_corners=False)
        return full.reshape(*shape, self.height, self.width)


def shrink_mask(masks: Tensor, side: int) -> Tensor:
    """Masks (B, S, S) to the share of foreground in each of (B, side, side) cells: a target for logits."""
    return F.interpolate(masks[:, None].to(torch.float32), size=(side, side), mode="area")[:, 0]
