"""Masks of an image that is processed tile by tile, blended where the tiles overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from promise_seg.arrays import Float32Array
from promise_seg.images.geometry import Box
from promise_seg.images.tiles import blended
from promise_seg.inference.masks import Masks
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.vocabulary import MaskChoice


@dataclass(frozen=True)
class TiledMasks:
    """The masks of all tiles of one image.

    Args:
        tiles: the masks of each tile by its box, in the order of the grid, on the CPU, because the masks of a large
            image may not fit on a device.
        grid: the boxes of the tiles, row by row, in the image frame.
        overlap: overlap of the tiles, in pixels.
        height, width: size of the image, in pixels.
        device: device on which probabilities are computed.
    """

    tiles: dict[Box, Masks]
    grid: list[list[Box]]
    overlap: int
    height: int
    width: int
    device: torch.device

    def chosen(self, choice: MaskChoice) -> tuple[Tensor, Tensor]:
        """Choose one candidate for each set of prompts of all tiles: logits (K, h, h) and predicted IoU (K,)."""
        parts: Sequence[tuple[Tensor, Tensor]] = [masks.chosen(choice) for masks in self.tiles.values()]
        return torch.cat([logits for logits, _ in parts]), torch.cat([iou for _, iou in parts])

    def predicted_iou(self, choice: MaskChoice, post: PostProcessing) -> float:
        """Return the mean predicted IoU over tiles with a non-empty mask, as in prediction; 0 if there are none."""
        tiles = (masks.to(self.device) for masks in self.tiles.values())
        found = [one.predicted_iou(choice) for one in tiles if post.mask(one.probs(choice)).any()]
        return float(np.mean(found)) if found else 0.0

    def probs(self, choice: MaskChoice) -> Float32Array:
        """Return the probabilities (H, W) in the image frame, 0 outside the tiles."""
        whole = np.zeros((self.height, self.width), np.float32)
        for box, strip in blended(self.grid, self.overlap, lambda box: self._probs_of(box, choice)[None]):
            whole[box.slices] = strip[0]
        return whole

    def _probs_of(self, box: Box, choice: MaskChoice) -> Float32Array:
        return self.tiles[box].to(self.device).probs(choice)
