"""Contact sheets: many small pictures on one, each with a caption."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Uint8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

TILE_SIDE = 256
GAP = 4
OUTLINE_COLOURS = ((255, 210, 0), (70, 190, 255), (255, 120, 190), (150, 230, 90), (200, 150, 255), (255, 150, 60))
_BACKGROUND = 30
_GLYPH_WIDTH = 8  # of the font below, about, in pixels


def contact_sheet(tiles: Sequence[Uint8Array], captions: Sequence[str]) -> Uint8Array:
    """Pictures (H, W, 3) uint8, of any sizes, in rows, nearly as many rows as columns.

    Each is shrunk or enlarged to fit a square of 256 px, and its caption, cut to what fits, written over its top.

    Raises:
        ValueError: if there are none.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one picture")
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
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(written, words, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)
    square[:] = written


def outlined(image: Uint8Array, masks: Sequence[BoolArray]) -> Uint8Array:
    """A copy of an image (H, W, 3) with the outline of each mask (H, W), in a colour for each."""
    picture = np.ascontiguousarray(image).copy()
    unit = max(1, round(max(image.shape[:2]) / TILE_SIDE))
    for number, mask in enumerate(masks):
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)], unit)
    return picture
