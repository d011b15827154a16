"""The labels of pixels where several models, or classes of one, find something."""

import numpy as np
import numpy.typing as npt

from promise_seg.arrays import BoolArray, Float32Array, Uint16Array


def surest_labels(labels: npt.ArrayLike, probs: Float32Array, masks: BoolArray) -> Uint16Array:
    """Return the label (H, W) of each pixel: of those whose mask has it the one that is most probable, else 0.

    Args:
        labels: (C,).
        probs: (C, H, W).
        masks: (C, H, W), which may differ from the probabilities by a threshold, or by what was done to their shape.
    """
    numbers = np.asarray(labels, np.uint16)
    if len(numbers) == 1:
        return np.where(masks[0], numbers[0], 0).astype(np.uint16)
    best = np.where(masks, probs, -1).argmax(0)
    return np.where(masks.any(0), numbers[best], 0).astype(np.uint16)
