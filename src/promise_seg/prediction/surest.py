"""Combine the masks of several models or classes into one label map."""

import numpy as np
import numpy.typing as npt

from promise_seg.arrays import BoolArray, Float32Array, Uint16Array


def surest_labels(labels: npt.ArrayLike, probs: Float32Array, masks: BoolArray) -> Uint16Array:
    """Return the label map (H, W): the most probable label among the masks that cover a pixel, otherwise 0.

    Args:
        labels: label of each mask (C,).
        probs: probabilities (C, H, W).
        masks: masks (C, H, W) bool, made from the probabilities by thresholding and post-processing.
    """
    numbers = np.asarray(labels, np.uint16)
    if len(numbers) == 1:
        return np.where(masks[0], numbers[0], 0).astype(np.uint16)
    best = np.where(masks, probs, -1).argmax(0)
    return np.where(masks.any(0), numbers[best], 0).astype(np.uint16)
