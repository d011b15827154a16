"""Read and resize images, and map their coordinates to the square that the model sees."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]

DARK, LEAST_SHARE = 16, 0.01  # thresholds of the black border, for models that crop it
ORIENTATION = 274  # the EXIF tag, and the transposition for each of its values
TURNS = dict(zip(range(2, 9), (
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), strict=True))  # fmt: skip
OUTSIDE_LOGIT = -20.0  # for pixels that the model does not see


class Box(NamedTuple):
    """A rectangle of whole pixels; the right column and the bottom row are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """The width and height."""
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True)
class Frame:
    """The mapping between an image of a given height and width and the model frame of a given side."""

    height: int
    width: int
    side: int
    fit: str
    crop: Box | None = None

    @property
    def kept(self) -> Box:
        """The part of the image that the model sees."""
        return self.crop or Box(0, 0, self.width, self.height)

    @property
    def content(self) -> Box:
        """The position of the kept part in the model frame; the rest is black."""
        if self.fit == "stretch":
            return Box(0, 0, self.side, self.side)
        scale = self.side / max(self.kept.size)
        width, height = (max(1, round(length * scale)) for length in self.kept.size)
        left, top = ((self.side - width) // 2, (self.side - height) // 2) if self.fit == "square" else (0, 0)
        return Box(left, top, left + width, top + height)

    def image_to_model(self, pixels: Array) -> Array:
        """Map pixels (H, W, 3) uint8 to (S, S, 3) uint8."""
        kept, content = self.kept, self.content
        framed = np.zeros((self.side, self.side, 3), np.uint8)
        framed[content.top : content.bottom, content.left : content.right] = resize_pixels(
            pixels[kept.top : kept.bottom, kept.left : kept.right], *content.size
        )
        return framed

    def points_to_model(self, points: Array) -> Array:
        """Map points (..., 2) from the image frame to the model frame."""
        scale = np.divide(self.content.size, self.kept.size)
        return ((points - np.array(self.kept[:2]) + 0.5) * scale - 0.5 + self.content[:2]).astype(np.float32)

    def logits_to_image(self, logits: Array) -> Array:
        """Map logits (h, h) over the whole model frame to (H, W) in the image frame."""
        kept, content = self.kept, self.content
        if content.size != (self.side, self.side):
            logits = enlarge(logits, self.side, self.side)[content.top : content.bottom, content.left : content.right]
        full = np.full((self.height, self.width), OUTSIDE_LOGIT, np.float32)
        full[kept.top : kept.bottom, kept.left : kept.right] = enlarge(logits, *kept.size)
        return full


def read_file(file: str | Path, reading: dict[str, Any]) -> Array:
    """Read the RGB pixels of an 8-bit image, rotated by its EXIF orientation, with unchanged values.

    Raises ValueError if the model reads files in another way, or if the file has more than 8 bits per value.
    """
    for name, usual in (("channels", None), ("window", "own"), ("level", 0)):
        if reading.get(name, usual) != usual:
            raise ValueError(f"this model reads files with {name} {reading[name]}: give 8-bit RGB pixels made so")
    with Image.open(file) as opened:
        if opened.mode[0] in "IF" or ";16" in str(opened.tile):  # Pillow would clip their values
            raise ValueError(f"{file} has more than 8 bits a value: give 8-bit RGB pixels, (H, W, 3) uint8")
        opened.load()
        return np.asarray(upright(opened).convert("RGB"))


def upright(image: Image.Image) -> Image.Image:
    """Rotate and flip an image by its EXIF orientation; EXIF data that cannot be parsed is ignored."""
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow's parser may raise any error
        return image
    return image if turn is None else image.transpose(turn)


def content_box(pixels: Array) -> Box | None:
    """Return the part of an image inside its black border; ``None`` if there is no border."""
    bright = pixels.max(2) > DARK
    rows, columns = (np.flatnonzero(bright.mean(axis) > LEAST_SHARE) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return None if box.size == (bright.shape[1], bright.shape[0]) else box


def area_weights(before: int, after: int) -> Array:
    """Return the matrix (after, before) that shrinks an axis by area averaging."""
    edges = np.arange(after + 1) * (before / after)
    cells = np.arange(before)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.clip(overlap, 0, None) * (after / before)


def linear_weights(before: int, after: int) -> Array:
    """Return the matrix (after, before) that resizes an axis linearly, repeating the edges."""
    places = np.clip((np.arange(after) + 0.5) * (before / after) - 0.5, 0, before - 1)
    lower = np.minimum(places.astype(int), max(before - 2, 0))
    weights = np.zeros((after, before))
    weights[np.arange(after), lower] = 1 - (places - lower)
    weights[np.arange(after), np.minimum(lower + 1, before - 1)] += places - lower
    return weights


def resize_pixels(pixels: Array, width: int, height: int) -> Array:
    """Resize pixels (H, W, 3) uint8: axes that shrink by area averaging, then axes that grow linearly."""
    for weights_of, sizes in (
        (area_weights, (min(height, pixels.shape[0]), min(width, pixels.shape[1]))),
        (linear_weights, (height, width)),
    ):
        if sizes != pixels.shape[:2]:
            down, across = (weights_of(*sides).astype(np.float32) for sides in zip(pixels.shape, sizes, strict=False))
            moved = np.moveaxis(pixels, 2, 0)
            pixels = np.moveaxis(np.rint(down @ moved @ across.T).clip(0, 255).astype(np.uint8), 0, 2)
    return pixels


def enlarge(maps: Array, width: int, height: int) -> Array:
    """Resize maps (..., h, w) linearly, without smoothing if they shrink."""
    down, across = linear_weights(maps.shape[-2], height), linear_weights(maps.shape[-1], width)
    return (down @ maps @ across.T).astype(np.float32)
