"""A contact sheet: what a recipe makes of an image."""

import math

import cv2
import numpy as np

from promise_seg.data.augmentation.recipes import Recipe, view_of
from promise_seg.data.augmentation.views import BoolArray, Uint8Array

TILE_SIDE = 256
GAP = 4
OUTLINE_COLOUR = (255, 210, 0)


def augmentation_sheet(image: Uint8Array, mask: BoolArray, image_sha256: str, recipe: Recipe, count: int) -> Uint8Array:
    """Views 0 to ``count - 1`` in rows, nearly as many rows as columns, each with its number and its mask outlined.

    Shape: ``image`` (S, S, 3) uint8 RGB and ``mask`` (S, S) bool in the model frame give (H, W, 3) uint8; each tile is
    256 px wide and high, with 4 px between them.
    Raises: ValueError if there is nothing to show, or the image is not a square.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if image.shape[0] != image.shape[1] or image.shape[:2] != mask.shape:
        raise ValueError(f"expected a square image and a mask of its size, got {image.shape} and {mask.shape}")
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    step = TILE_SIDE + GAP
    sheet = np.zeros((rows * step - GAP, columns * step - GAP, 3), np.uint8)
    for number in range(count):
        view = view_of(image_sha256, number, recipe)
        top, left = number // columns * step, number % columns * step
        sheet[top : top + TILE_SIDE, left : left + TILE_SIDE] = _tile(
            view.apply_to_image(image), view.apply_to_mask(mask), str(number)
        )
    return sheet


def _tile(image: Uint8Array, mask: BoolArray, label: str) -> Uint8Array:
    size = (TILE_SIDE, TILE_SIDE)
    scaling = cv2.INTER_AREA if image.shape[0] > TILE_SIDE else cv2.INTER_NEAREST
    tile = np.asarray(cv2.resize(image, size, interpolation=scaling), np.uint8)
    small_mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(small_mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(tile, outlines, -1, OUTLINE_COLOUR, 1)
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(tile, label, (6, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, thickness, cv2.LINE_AA)
    return tile
