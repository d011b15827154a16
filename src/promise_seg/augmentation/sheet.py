"""A contact sheet of the views that a recipe makes of an image."""

from collections.abc import Callable

import numpy as np

from promise_seg.arrays import BoolArray, Uint8Array
from promise_seg.augmentation.recipes import view_of
from promise_seg.images.sheets import contact_sheet, outlined
from promise_seg.vocabulary import Recipe


def augmentation_sheet(
    image: Uint8Array,
    mask: BoolArray,
    image_sha256: str,
    recipe: Recipe,
    count: int,
    finish: Callable[[Uint8Array], Uint8Array] = np.asarray,
) -> Uint8Array:
    """Draw views 0 to ``count - 1``, each with its number and the outline of its mask; ``finish`` is applied to each.

    Shape: ``image`` (S, S, 3) uint8 RGB and ``mask`` (S, S) bool in the model frame give (H, W, 3) uint8.
    Raises: ValueError if ``count`` is below 1, or the image is not a square.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if image.shape[0] != image.shape[1] or image.shape[:2] != mask.shape:
        raise ValueError(f"expected a square image and a mask of its size, got {image.shape} and {mask.shape}")
    views = [view_of(image_sha256, number, recipe) for number in range(count)]
    tiles = [outlined(finish(view.apply_to_image(image)), [view.apply_to_mask(mask)]) for view in views]
    return contact_sheet(tiles, [str(number) for number in range(count)])
