"""Convert published masks (greyscale, colour or JPEG) to masks with the values 0 and 255."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from promise_seg.arrays import Uint8Array
from promise_seg.errors import ImageError, first_line

THRESHOLD = 127


@dataclass(frozen=True)
class BinaryMask:
    """A mask: ``pixels`` (H, W) uint8, 0 or 255; ``was_cut`` if intermediate grey values were thresholded."""

    pixels: Uint8Array
    was_cut: bool


def read_binary_mask(path: Path) -> BinaryMask:
    """Read a published mask.

    If the mask has a single value other than 0, that value is foreground. If it has several, or is a JPEG with values
    other than 0 and 255, values above ``THRESHOLD`` are foreground.

    Raises:
        ImageError: if the file cannot be read.
    """
    try:
        with Image.open(path) as image:
            is_lossy = image.format == "JPEG"
            values = np.asarray(image if image.mode in {"1", "L"} else image.convert("L")).astype(np.uint8)
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not a readable image. Download the archive again from its source") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: damaged: {first_line(error)}. Download the archive again from its source") from error
    levels = np.unique(values)
    was_cut = len(levels[levels != 0]) > 1 or (is_lossy and not set(levels.tolist()) <= {0, 255})
    foreground = values > THRESHOLD if was_cut else values != 0
    return BinaryMask(np.where(foreground, 255, 0).astype(np.uint8), was_cut)
