"""Image and mask files to arrays."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from promise_seg.errors import ImageError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

Uint8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ImageError(f"{path}: not an image that can be read; expected one of {kinds}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: damaged or truncated: {error}. Copy it again from its source") from error
    return image


def _to_8_bit(values: npt.NDArray[np.generic]) -> Uint8Array:
    """Stretch deeper grey values, from the image's lowest to its highest, to [0, 255]."""
    values = np.asarray(values, np.float64)
    low, high = values.min(), values.max()
    return np.round((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def read_image(path: str | Path) -> Uint8Array:
    """Read a file as RGB: (H, W, 3) uint8, in the image frame.

    Grey images are repeated to three channels, deeper than 8 bits stretched to their own range, alpha dropped. An EXIF
    orientation is not applied: masks carry none.

    Raises:
        ImageError: if the file is missing, damaged or no image.
    """
    image = _open(Path(path))
    if image.mode.startswith("I") or image.mode == "F":
        grey = _to_8_bit(np.asarray(image))
        return np.repeat(grey[..., None], 3, 2)
    return np.asarray(image.convert("RGB"))


def read_mask(path: str | Path, threshold: int | None = None) -> BoolArray:
    """Read a binary mask: (H, W) bool.

    Background is 0 and foreground any one other value, as in files with 0/255 or 0/1.

    Args:
        path: the file.
        threshold: take grey values above it as foreground, for masks that were saved as JPEG or resized smoothly.

    Raises:
        ImageError: if the file is missing, damaged, no image, or has more than two values and no threshold is given.
    """
    image = _open(Path(path))
    values = np.asarray(image if image.mode in {"1", "L", "P"} or image.mode.startswith("I") else image.convert("L"))
    if threshold is not None:
        return values > threshold
    levels = np.unique(values)
    if len(levels[levels != 0]) > 1:
        raise ImageError(
            f"{path}: a mask must have two values, 0 and one other; found {len(levels)} values from {levels[0]} to "
            f"{levels[-1]}, as JPEG or smooth resizing makes them. Save it as PNG, or give --mask-threshold 127"
        )
    return values != 0
