"""The map between the image frame (the user's pixels) and the model frame (the square that the encoder sees)."""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from promise_seg.arrays import Array, BoolArray, Float32Array, Uint8Array, Uint16Array
from promise_seg.vocabulary import Fit

Label = TypeVar("Label", bound=np.integer)

OUTSIDE_LOGIT = -20.0
"""The logit of pixels that were cropped away: certainly background."""


class Box(NamedTuple):
    """A rectangle of whole pixels: columns ``left`` to ``right`` and rows ``top`` to ``bottom``, the last excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index of the box in an array (H, W): its rows and its columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class Geometry:
    """The invertible map between one image's frame and the model frame.

    Coordinates are (x, y) pixel indices in both frames: whole numbers are pixel centres, so the left edge of an image
    is at -0.5.

    Args:
        height, width: the size of the image, in pixels.
        side: the side of the model frame, in pixels.
        fit: how the image becomes a square.
        crop: the part of the image that is kept, ``None`` for all of it; pixels outside are background.
    """

    height: int
    width: int
    side: int
    fit: Fit = Fit.STRETCH
    crop: Box | None = None

    @property
    def kept(self) -> Box:
        """The part of the image that the model sees."""
        return self.crop or Box(0, 0, self.width, self.height)

    @property
    def content(self) -> Box:
        """The place of the kept part in the model frame; the rest is padding."""
        if self.fit == Fit.STRETCH:
            return Box(0, 0, self.side, self.side)
        kept_width, kept_height = _size(self.kept)
        scale = self.side / max(kept_width, kept_height)
        width, height = max(1, round(kept_width * scale)), max(1, round(kept_height * scale))
        left, top = ((self.side - width) // 2, (self.side - height) // 2) if self.fit == Fit.SQUARE else (0, 0)
        return Box(left, top, left + width, top + height)

    def _to_model(self, values: Array) -> Array:
        kept, content = self.kept, self.content
        resized = resize(values[kept.top : kept.bottom, kept.left : kept.right], *_size(content))
        framed = np.zeros((self.side, self.side, *resized.shape[2:]), resized.dtype)
        framed[content.top : content.bottom, content.left : content.right] = resized
        return framed

    def image_to_model(self, image: Uint8Array) -> Uint8Array:
        """Map an image (H, W, 3) uint8 to (S, S, 3) uint8; padding is black."""
        return self._to_model(image)

    def mask_to_model(self, mask: BoolArray) -> BoolArray:
        """Map a mask (H, W) bool to (S, S) bool; padding is background."""
        return self._to_model(mask.astype(np.float32)) >= 0.5

    def labels_to_model(self, labels: Uint16Array) -> Uint16Array:
        """Map an instance map (H, W) to (S, S); touching objects stay separate.

        The foreground is exactly that of :meth:`mask_to_model` for the union of all objects.
        """
        content = self.content
        kept = labels[self.kept.top : self.kept.bottom, self.kept.left : self.kept.right]
        rows, columns = (
            np.minimum(((np.arange(count) + 0.5) * size / count).astype(np.int64), size - 1)
            for count, size in zip(reversed(_size(content)), kept.shape, strict=True)
        )
        found = np.zeros((self.side, self.side), np.uint16)
        found[content.top : content.bottom, content.left : content.right] = kept[np.ix_(rows, columns)]
        return on_mask(found, self.mask_to_model(labels != 0))

    def _scale_and_offsets(self) -> tuple[Float32Array, Float32Array, Float32Array]:
        kept, content = self.kept, self.content
        scale = np.divide(_size(content), _size(kept), dtype=np.float32)
        return scale, np.array(kept[:2], np.float32), np.array(content[:2], np.float32)

    def points_to_model(self, points_xy_image: Float32Array) -> Float32Array:
        """Map points (..., 2) from pixel indices in the image frame to pixel indices in the model frame."""
        scale, kept, content = self._scale_and_offsets()
        return ((points_xy_image - kept + 0.5) * scale - 0.5 + content).astype(np.float32)

    def points_to_image(self, points_xy_model: Float32Array) -> Float32Array:
        """Map points (..., 2) from pixel indices in the model frame to pixel indices in the image frame."""
        scale, kept, content = self._scale_and_offsets()
        return ((points_xy_model - content + 0.5) / scale - 0.5 + kept).astype(np.float32)

    def box_to_model(self, box_xyxy_image: Float32Array) -> Float32Array:
        """Map boxes (..., 4), indices of the first and last pixels, from the image frame to the model frame."""
        return self.points_to_model(box_xyxy_image.reshape(*box_xyxy_image.shape[:-1], 2, 2)).reshape(
            box_xyxy_image.shape
        )

    def box_to_image(self, box_xyxy_model: Float32Array) -> Float32Array:
        """Map boxes (..., 4), indices of the first and last pixels, from the model frame to the image frame."""
        return self.points_to_image(box_xyxy_model.reshape(*box_xyxy_model.shape[:-1], 2, 2)).reshape(
            box_xyxy_model.shape
        )

    def logits_to_image(self, mask_logits: Tensor) -> Tensor:
        """Map low-resolution logits (..., h, h), over the whole model frame, to (..., H, W) in the image frame."""
        shape = mask_logits.shape[:-2]
        flat = mask_logits.reshape(1, -1, *mask_logits.shape[-2:])
        kept, content = self.kept, self.content
        if _size(content) != (self.side, self.side):
            flat = F.interpolate(flat, size=(self.side, self.side), mode="bilinear", align_corners=False)
            flat = flat[..., content.top : content.bottom, content.left : content.right]
        width, height = _size(kept)
        full = F.interpolate(flat, size=(height, width), mode="bilinear", align_corners=False)
        if self.crop is not None:
            edges = (kept.left, self.width - kept.right, kept.top, self.height - kept.bottom)
            full = F.pad(full, edges, value=OUTSIDE_LOGIT)
        return full.reshape(*shape, self.height, self.width)


def _size(box: Box) -> tuple[int, int]:
    """Return the width and the height of a box."""
    return box.right - box.left, box.bottom - box.top


def resize(values: Array, width: int, height: int) -> Array:
    """Resize (H, W[, 3]) to (height, width[, 3]): by area along an axis that shrinks, linearly along one that grows.

    Shrinking and growing are separate steps, because OpenCV averages areas only if both axes shrink.
    """
    smaller = min(width, values.shape[1]), min(height, values.shape[0])
    shrunk = cv2.resize(values, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)


def on_mask(labels: npt.NDArray[Label], mask: BoolArray) -> npt.NDArray[Label]:
    """Restrict labels (S, S) to a mask (S, S); pixels of the mask without a label get the nearest label.

    If there are no labels at all, the whole mask becomes object 1.
    """
    bare = mask & (labels == 0)
    if bare.any() and labels.any():
        _, nearest = cv2.distanceTransformWithLabels(
            (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_pixel = np.zeros(int(nearest.max()) + 1, labels.dtype)
        of_pixel[nearest[labels != 0]] = labels[labels != 0]
        labels = np.where(bare, of_pixel[nearest], labels)
    elif bare.any():
        labels = mask.astype(labels.dtype)
    return np.where(mask, labels, 0).astype(labels.dtype)


def shrink_mask(masks: Tensor, side: int) -> Tensor:
    """Reduce masks (B, S, S) to the share of foreground in each of (B, side, side) cells: a target for logits."""
    return F.interpolate(masks[:, None].to(torch.float32), size=(side, side), mode="area")[:, 0]
