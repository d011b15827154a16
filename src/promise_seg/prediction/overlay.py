"""Draw a mask and the prompts that it came from over an image."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from promise_seg.arrays import LabelArray, Uint8Array
from promise_seg.images.sheets import OUTLINE_COLOURS

MASK_COLOUR = OUTLINE_COLOURS[0]
FOREGROUND_COLOUR = (40, 220, 90)
BACKGROUND_COLOUR = (235, 60, 60)
COMPRESSION = 3
"""zlib's level for overlays: the usual 6 takes 2.5 times as long, for files that are 2 % smaller (60 real images)."""


def overlay_path(folder: Path, stem: str) -> Path:
    """Return where the overlay of the input with a stem is, in a folder of predictions."""
    return folder / "overlays" / f"{stem}.png"


def draw_instances(image: Uint8Array, labels: LabelArray) -> Uint8Array:
    """Outline each object of an instance map (H, W) on an image (H, W, 3) uint8, in colours that take turns."""
    unit = max(1, round(min(image.shape[:2]) / 400))
    numbers = labels.astype(np.float32)  # erosion and dilation of OpenCV know no 32 bit integers
    kernel = np.ones((2 * unit + 1, 2 * unit + 1), np.uint8)
    inner = (cv2.erode(numbers, kernel) == numbers) & (cv2.dilate(numbers, kernel) == numbers)
    edge = (labels > 0) & ~inner
    drawn = image.copy()
    drawn[edge] = np.array(OUTLINE_COLOURS, np.uint8)[labels[edge] % len(OUTLINE_COLOURS)]
    return drawn


def draw_overlay(
    image: Uint8Array,
    mask: npt.NDArray[np.bool_],
    points_xy_image: npt.NDArray[np.float32] | None = None,
    point_labels: npt.NDArray[np.int64] | None = None,
    boxes_xyxy_image: npt.NDArray[np.float32] | None = None,
    colour: tuple[int, int, int] = MASK_COLOUR,
) -> Uint8Array:
    """Tint the mask, outline it, and mark points, green discs for foreground and red ones for background, and boxes.

    Shape: ``image`` (H, W, 3) uint8 RGB and ``mask`` (H, W) bool give (H, W, 3); points (N, 2) and boxes (K, 4) in the
        image frame.
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
