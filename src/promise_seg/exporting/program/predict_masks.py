"""Turn the decoder's logits into a mask: mix in the prompter's saliency map, and post-process."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from predict_frames import Array, enlarge
from predict_prompts import Prompts, number_parts

KERNEL_SIDE = 256  # longer side of the image that kernel sizes of post-processing refer to


def sigmoid(logits: Array) -> Array:
    """Convert logits to probabilities."""
    return 1 / (1 + np.exp(-logits))


def with_map(logits: Array, saliency: Array, share: float, not_asked_for: Array | None) -> Array:
    """Mix the prompter's saliency map (g, g) into masks (K, h, h), all as logits."""
    side = max(logits.shape[-1], saliency.shape[-1])
    wide = enlarge(saliency, side, side)
    mixed = (1 - share) * enlarge(logits, side, side) + share * wide
    if not_asked_for is not None and not_asked_for.any():
        nearest = np.arange(side) * len(not_asked_for) // side
        mixed = np.where(not_asked_for[nearest][:, nearest], np.maximum(mixed, wide), mixed)
    return mixed


def with_map_as_asked(logits: Array, saliency_logits: Array, prompts: Prompts, share: float, side: int) -> Array:
    """Mix the prompter's saliency map (g, g) into a mask (h, h) for one set of a user's prompts, all as logits.

    The map adds to the mask only in connected components that overlap the mask or a foreground click, and only inside a
    box. The mask is kept if there are no such components, and where a click contradicts the map.
    """
    cells = max(logits.shape[-1], saliency_logits.shape[-1])
    logits, guess_logits = enlarge(logits, cells, cells), enlarge(saliency_logits, cells, cells)
    is_mask, guessed, scale = logits > 0, guess_logits > 0, cells / side
    columns, rows = ((prompts.points[0] + 0.5) * scale).astype(int).clip(0, cells - 1).T
    foreground, background = prompts.labels[0] == 1, prompts.labels[0] == 0
    parts = number_parts(guessed, corners=True)
    adds = among(parts, np.append(parts[is_mask], parts[rows[foreground], columns[foreground]]))
    for box in prompts.boxes[0]:
        left, top, right, bottom = ((box + 0.5) * scale).astype(int).clip(0, cells - 1)
        inside = np.zeros_like(adds)
        inside[top : bottom + 1, left : right + 1] = True
        adds &= inside
    keeps = np.full_like(adds, not adds.any())
    for clicked, more in ((foreground, is_mask & ~guessed), (background, guessed & ~is_mask)):
        regions = number_parts(more, corners=True)
        keeps |= among(regions, regions[rows[clicked], columns[clicked]])
    mixed = (1 - share) * logits + share * guess_logits
    return np.where(keeps, logits, np.where(adds, mixed, np.minimum(mixed, logits)))


def among(parts: Array, numbers: Array) -> Array:
    """Return the mask of the numbered components (r, r) whose numbers are in ``numbers``; 0 is not a component."""
    return np.isin(parts, numbers[numbers > 0])


def clean(mask_probs: Array, steps: dict[str, Any]) -> Array:
    """Convert probabilities (H, W) to a mask by the threshold and the post-processing steps of the model."""
    mask = mask_probs > steps["threshold"]
    for name, order in (("opening", (np.logical_and, np.logical_or)), ("closing", (np.logical_or, np.logical_and))):
        size = round(steps[name] * max(mask.shape) / KERNEL_SIDE)
        if size >= 2 and mask.any():
            framed = np.pad(mask, size, mode="edge")
            for join in order:
                framed = over_disc(framed, size, join)
            mask = framed[size:-size, size:-size]
    if steps["fill_holes"] and mask.any():
        outside = number_parts(np.pad(~mask, 1, constant_values=True), corners=False)
        mask = (outside != outside[0, 0])[1:-1, 1:-1]
    if steps["keep"] == "largest" and mask.any():
        parts = number_parts(mask, corners=True)
        mask = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return mask


def over_disc(mask: Array, size: int, join: np.ufunc) -> Array:
    """Combine each pixel with those in a disc around it: "and" erodes a mask, "or" dilates it."""
    middle = size // 2
    framed = np.pad(mask, size, constant_values=join is np.logical_and)
    found = mask.copy()
    for y, x in disc(size):
        top, left = size + y - middle, size + x - middle
        join(found, framed[top : top + mask.shape[0], left : left + mask.shape[1]], out=found)
    return found


def disc(size: int) -> Iterator[tuple[int, int]]:
    """Yield the cells (row, column) of a disc in a square of a given size, as OpenCV draws ellipses."""
    radius = size // 2
    for row in range(size):
        reach = round(radius * np.sqrt(max(radius**2 - (row - radius) ** 2, 0)) / radius)
        yield from ((row, column) for column in range(max(radius - reach, 0), min(radius + reach + 1, size)))
