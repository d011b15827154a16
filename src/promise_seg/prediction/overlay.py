"""Draw a mask and its prompts over an image."""

from pathlib import Path

import cv2
import numpy as np

from promise_seg.arrays import BoolArray, Float32Array, IntArray, LabelArray, Uint8Array
from promise_seg.images.sheets import OUTLINE_COLOURS

MASK_COLOUR = OUTLINE_COLOURS[0]
FOREGROUND_COLOUR = (40, 220, 90)
BACKGROUND_COLOUR = (235, 60, 60)
COMPRESSION = 3
"""zlib level of overlays. The default of 6 takes 2.5 times as long for 2 % smaller files (60 real images)."""


def overlay_path(folder: Path, stem: str) -> Path:
    """Return the path of an input's overlay in a folder of predictions."""
    return folder / "overlays" / f"{stem}.png"


def draw_instances(image: Uint8Array, labels: LabelArray) -> Uint8Array:
    """Outline each object of an instance map (H, W) on an image (H, W, 3) uint8, cycling through the colours."""
    unit = max(1, round(min(image.shape[:2]) / 400))
    numbers = labels.astype(np.float32)  # OpenCV's erosion and dilation do not support 32-bit integers
    kernel = np.ones((2 * unit + 1, 2 * unit + 1), np.uint8)
    inner = (cv2.erode(numbers, kernel) == numbers) & (cv2.dilate(numbers, kernel) == numbers)
    edge = (labels > 0) & ~inner
    drawn = image.copy()
    drawn[edge] = np.array(OUTLINE_COLOURS, np.uint8)[labels[edge] % len(OUTLINE_COLOURS)]
    return drawn


def draw_overlay(
    image: Uint8Array,
    mask: BoolArray,
    points_xy_image: Float32Array | None = None,
    point_labels: IntArray | None = None,
    boxes_xyxy_image: Float32Array | None = None,
    colour: tuple[int, int, int] = MASK_COLOUR,
) -> Uint8Array:
    """Draw the mask as a tint and an outline, and mark the prompts.

    Foreground points are green discs, background points red discs, and boxes are green.

    Shape: ``image`` (H, W, 3) uint8 RGB; ``mask`` (H, W) bool; points (N, 2) and boxes (K, 4) in the image frame.
        Returns (H, W, 3) uint8.
    """
    drawn = image.copy()
    drawn[mask] = (0.65 * drawn[mask] + 0.35 * np.array(colour)).astype(np.uint8)
    unit = max(1, round(min(image.shape[:2]) / 200))
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, outlines, -1, colour, unit)
    for box in () if boxes_xyxy_image is None else np.round(boxes_xyxy_image).astype(int).tolist():
        cv2.rectangle(drawn, box[:2], box[2:], (255, 255, 255), 2 * unit, cv2.LINE_AA)
        cv2.rectangle(drawn, box[:2], box[2:], FOREGROUND_COLOUR, unit, cv2.LINE_AA)
    if points_xy_image is not None and point_labels is not None:
        for (x, y), label in zip(points_xy_image, point_labels, strict=True):
            centre = (round(float(x)), round(float(y)))
            cv2.circle(drawn, centre, 4 * unit, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(drawn, centre, 3 * unit, FOREGROUND_COLOUR if label else BACKGROUND_COLOUR, -1, cv2.LINE_AA)
    return drawn
