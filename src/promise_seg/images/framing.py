"""An image and its place in the model frame; every input of the encoder is made here."""

from dataclasses import dataclass

from promise_seg.arrays import Uint8Array
from promise_seg.images.borders import content_box
from promise_seg.images.geometry import Box, Geometry
from promise_seg.vocabulary import Fit


def crop_of(rgb: Uint8Array, crop_border: bool) -> Box | None:
    """Return the part of an image (H, W, 3) to keep: the box inside its black border, or ``None`` for all of it."""
    return content_box(rgb) if crop_border else None


@dataclass(frozen=True)
class ImageInFrame:
    """An image (H, W, 3) uint8 RGB in the image frame, and the map from there to the model frame."""

    rgb: Uint8Array
    geometry: Geometry

    @staticmethod
    def of(rgb: Uint8Array, side: int, fit: Fit, crop_border: bool) -> "ImageInFrame":
        """Place an image in a square model frame with a side of ``side`` pixels."""
        height, width = rgb.shape[:2]
        return ImageInFrame(rgb, Geometry(height, width, side, fit, crop_of(rgb, crop_border)))

    def pixels(self) -> Uint8Array:
        """Return the image that the encoder sees: (S, S, 3) uint8."""
        return self.geometry.image_to_model(self.rgb)
