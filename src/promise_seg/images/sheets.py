"""Contact sheets: many small images in one image, each with a caption."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from promise_seg.arrays import BoolArray, Uint8Array

TILE_SIDE = 256
GAP = 4
OUTLINE_COLOURS = ((255, 210, 0), (70, 190, 255), (255, 120, 190), (150, 230, 90), (200, 150, 255), (255, 150, 60))
_BACKGROUND = 30
_GLYPH_WIDTH = 8  # approximate width of a letter in the font below, in pixels


def contact_sheet(tiles: Sequence[Uint8Array], captions: Sequence[str]) -> Uint8Array:
    """Arrange images (H, W, 3) uint8 of any sizes in a grid with about as many rows as columns.

    Each is resized to fit a square of 256 px, with its caption, truncated if necessary, at the top.

    Raises:
        ValueError: if there are no images.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one image")
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    step = TILE_SIDE + GAP
    sheet = np.full((rows * step - GAP, columns * step - GAP, 3), _BACKGROUND, np.uint8)
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        top, left = number // columns * step, number % columns * step
        _place(sheet[top : top + TILE_SIDE, left : left + TILE_SIDE], tile, caption)
    return sheet


def _place(square: Uint8Array, tile: Uint8Array, caption: str) -> None:
    height, width = tile.shape[:2]
    scale = TILE_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaling = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    left, top = (TILE_SIDE - size[0]) // 2, (TILE_SIDE - size[1]) // 2
    square[top : top + size[1], left : left + size[0]] = cv2.resize(tile, size, interpolation=scaling)
    fits = TILE_SIDE // _GLYPH_WIDTH
    words = caption if len(caption) <= fits else "..." + caption[-(fits - 3) :]
    words = words.encode("ascii", "replace").decode()
    written = np.ascontiguousarray(square)
    _write(written, words, (5, 16), (255, 255, 255), 1)
    square[:] = written


def outlined(image: Uint8Array, masks: Sequence[BoolArray], classes: Sequence[int] | None = None) -> Uint8Array:
    """Return a copy of an image (H, W, 3) with the outline of each mask (H, W), each in its own colour.

    If the masks are classes, a class has the same colour in every image, and its number, from 1, is written in it.
    """
    picture = np.ascontiguousarray(image).copy()
    unit = max(1, round(max(image.shape[:2]) / TILE_SIDE))
    for number, mask in enumerate(masks):
        colour = OUTLINE_COLOURS[(number if classes is None else classes[number] - 1) % len(OUTLINE_COLOURS)]
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colour, unit)
        if classes is not None and outlines:
            left, top, width, height = cv2.boundingRect(max(outlines, key=cv2.contourArea))
            _write(picture, str(classes[number]), (left + width // 2, top + height // 2), colour, unit)
    return picture


def _write(picture: Uint8Array, words: str, at: tuple[int, int], colour: tuple[int, int, int], unit: int) -> None:
    """Write text into an image, with a black outline to be legible on any background."""
    for ink, thickness in (((0, 0, 0), 3 * unit), (colour, unit)):
        cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42 * unit, ink, thickness, cv2.LINE_AA)
