"""Detection of the black border around endoscopy and ultrasound images, to crop it away."""

import numpy as np

from promise_seg.arrays import Uint8Array
from promise_seg.images.geometry import Box

DARK = 16
"""The highest grey level that counts as border: black, with the noise that JPEG adds to it."""
LEAST_SHARE = 0.01
"""The share of pixels brighter than :data:`DARK` above which a row or column is content."""


def content_box(image: Uint8Array) -> Box | None:
    """Return the smallest box with all rows and columns that have content; ``None`` if there is no border to crop.

    Shape: (H, W, 3) uint8 in the image frame. An image that is dark everywhere is not cropped.
    Source: ProMISe, "Training" (crop of the border); the threshold and share are ours.
    """
    bright = image.max(2) > DARK
    rows = np.flatnonzero(bright.mean(1) > LEAST_SHARE)
    columns = np.flatnonzero(bright.mean(0) > LEAST_SHARE)
    if not len(rows) or not len(columns):
        return None
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    height, width = bright.shape
    return None if box == (0, 0, width, height) else box
