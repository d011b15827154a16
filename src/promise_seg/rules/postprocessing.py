"""Post-processing of probabilities to a mask: a threshold and optional morphology, chosen on validation rows."""

from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from promise_seg.arrays import BoolArray, Float32Array, LabelArray

KERNEL_SIDE = 256
"""The longer side of an image or tile, in pixels, that diameters refer to, for an equal effect at any size."""


class PostProcessing(BaseModel):
    """The steps of post-processing, in the order of the fields; by default only the threshold.

    ``opening`` and ``closing`` are diameters of a disc in 1/256 of the longer side of the model's input, the image or a
    tile of it; 0 for none. ``keep`` is all connected components or only the largest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(0.5, gt=0, lt=1)
    opening: int = Field(0, ge=0)
    closing: int = Field(0, ge=0)
    fill_holes: bool = False
    keep: Literal["all", "largest"] = "all"

    @property
    def reshapes(self) -> bool:
        """Whether there are other steps than the threshold."""
        return bool(self.opening or self.closing or self.fill_holes or self.keep != "all")

    @property
    def threshold_logit(self) -> float:
        """The logit of the threshold."""
        return float(np.log(self.threshold / (1 - self.threshold)))

    def mask(self, mask_probs: Float32Array, tile_side: int | None = None) -> BoolArray:
        """Turn probabilities (H, W) in the image frame into a mask (H, W) bool.

        Args:
            mask_probs: probabilities of the mask.
            tile_side: side of the tiles that the image was predicted in, in pixels; ``None`` if it was not tiled.
        """
        mask = mask_probs > self.threshold
        for diameter, kind in ((self.opening, cv2.MORPH_OPEN), (self.closing, cv2.MORPH_CLOSE)):
            if diameter and mask.any():
                side = max(mask.shape) if tile_side is None else min(tile_side, max(mask.shape))
                mask = _reshaped(mask, max(1, round(diameter * side / KERNEL_SIDE)), kind)
        if self.fill_holes and mask.any():
            mask = np.asarray(ndimage.binary_fill_holes(mask))
        if self.keep == "largest" and mask.any():
            mask = largest_part(mask)
        return mask

    @property
    def words(self) -> str:
        """A description for tables; "none" for the default."""
        plain = PostProcessing()
        changed = [f"{name} {value}" for name, value in self if value != getattr(plain, name)]
        return ", ".join(changed).replace("fill_holes True", "holes filled") or "none"


NO_POST = PostProcessing()


def _reshaped(mask: BoolArray, size: int, kind: int) -> BoolArray:
    if size < 2:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), *(size,) * 4, cv2.BORDER_REPLICATE)  # objects continue outside
    return cv2.morphologyEx(framed, kind, kernel)[size:-size, size:-size] > 0


def numbered_parts(mask: BoolArray) -> LabelArray:
    """Number the connected components of a mask (H, W) from 1; pixels that share an edge or corner are connected."""
    return np.asarray(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1])


def largest_part(mask: BoolArray) -> BoolArray:
    """Return the largest connected component of a mask (H, W); the first of them if several are equally large."""
    count, parts, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    return parts == 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
