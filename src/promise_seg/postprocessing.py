"""From probabilities to a mask: a threshold, and a few changes of shape, chosen on validation rows or none at all."""

from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from promise_seg.arrays import BoolArray, Float32Array

KERNEL_SIDE = 256
"""Kernels are given for an image whose longer side has so many pixels, so that they mean the same at any size."""


class PostProcessing(BaseModel):
    """What is done to probabilities, in the order of the fields; by default only the threshold.

    ``opening`` and ``closing`` are diameters of a disc in 1/256 of the image's longer side, 0 for none; ``keep`` all
    connected parts or the largest alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(0.5, gt=0, lt=1)
    opening: int = Field(0, ge=0)
    closing: int = Field(0, ge=0)
    fill_holes: bool = False
    keep: Literal["all", "largest"] = "all"

    def mask(self, mask_probs: Float32Array) -> BoolArray:
        """(H, W) probabilities in the image frame to (H, W) bool."""
        mask = mask_probs > self.threshold
        for diameter, kind in ((self.opening, cv2.MORPH_OPEN), (self.closing, cv2.MORPH_CLOSE)):
            if diameter and mask.any():
                mask = _reshaped(mask, diameter, kind)
        if self.fill_holes and mask.any():
            mask = np.asarray(ndimage.binary_fill_holes(mask))
        if self.keep == "largest" and mask.any():
            mask = largest_part(mask)
        return mask

    @property
    def words(self) -> str:
        """What it does, for tables; "none" for the default."""
        plain = PostProcessing()
        changed = [f"{name} {value}" for name, value in self if value != getattr(plain, name)]
        return ", ".join(changed).replace("fill_holes True", "holes filled") or "none"


NO_POST = PostProcessing()


def _reshaped(mask: BoolArray, diameter: int, kind: int) -> BoolArray:
    size = max(1, round(diameter * max(mask.shape) / KERNEL_SIDE))
    if size < 2:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), *(size,) * 4, cv2.BORDER_REPLICATE)  # objects go on outside
    return cv2.morphologyEx(framed, kind, kernel)[size:-size, size:-size] > 0


def connected_parts(mask: BoolArray) -> Iterator[BoolArray]:
    """The parts of a mask (H, W) that do not touch each other, by edge or corner."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    yield from (parts == number for number in range(1, count))


def largest_part(mask: BoolArray) -> BoolArray:
    """The largest of a mask's parts that touch each other, by edge or corner; the first of several."""
    count, parts, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    return parts == 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
