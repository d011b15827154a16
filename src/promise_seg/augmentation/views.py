"""The parameters of a view, as our own recipe draws them, applied with OpenCV."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import cv2
import numpy as np

from promise_seg.arrays import BoolArray, Float32Array, Float64Array, Uint8Array, Uint16Array


@dataclass(frozen=True)
class View:
    """The changes to an image in the model frame, in the order of the fields; the defaults change nothing.

    ``angle`` is in degrees; ``shift_x`` and ``shift_y`` are shares of the side; ``brightness`` is in grey levels;
    ``hue`` is a gain for each channel; ``saturation`` is a gain of the differences between the channels; ``blur`` is
    the standard deviation in pixels per 128 pixels of the side; ``noise`` is in grey levels.
    """

    angle: float = 0.0
    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    flip_x: bool = False
    flip_y: bool = False
    contrast: float = 1.0
    brightness: float = 0.0
    hue: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    gamma: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0

    def as_key(self) -> dict[str, Any]:
        """Return everything that changes the pixels, for the key in the feature store.

        Only fields that differ from their defaults are included, so a new kind of change keeps the keys of old views.
        Inverted views have a key of their own since their padding stays black.
        """
        unchanged = asdict(View())
        key = {name: value for name, value in asdict(self).items() if value != unchanged[name]}
        return key | {"padding": "black"} if self.contrast < 0 else key

    def only_colours(self) -> Self:
        """Return the view without its spatial changes, so that masks and stored maps of the image still fit."""
        return replace(self, angle=0.0, scale=1.0, shift_x=0.0, shift_y=0.0, flip_x=False, flip_y=False)

    def inverted(self) -> Self:
        """Return the view with light and dark inverted, before all other changes of brightness and colour.

        A negative contrast stands for it.
        """
        return replace(self, contrast=-self.contrast)

    def _matrix(self, side: int) -> Float64Array:
        centre = (side - 1) / 2
        matrix = cv2.getRotationMatrix2D((centre, centre), self.angle, self.scale)
        matrix[:, 2] += np.array([self.shift_x, self.shift_y]) * side
        mirror = np.diag([-1.0 if self.flip_x else 1.0, -1.0 if self.flip_y else 1.0])
        offset = np.array([2 * centre if self.flip_x else 0.0, 2 * centre if self.flip_y else 0.0])
        return np.concatenate([mirror @ matrix[:, :2], (mirror @ matrix[:, 2] + offset)[:, None]], 1)

    def apply_to_image(self, image: Uint8Array) -> Uint8Array:
        """Transform an image (S, S, 3) uint8; pixels from outside are black before its colours are changed."""
        if self == View():
            return image
        side = image.shape[0]
        warped = cv2.warpAffine(image, self._matrix(side), (side, side), flags=cv2.INTER_LINEAR).astype(np.float32)
        contrast = abs(self.contrast)
        if self.contrast < 0:
            warped = self._inverted_within(warped)
        if contrast != 1:
            warped = (warped - 128) * contrast + 128
        warped = warped + self.brightness
        warped = np.clip(warped * np.array(self.hue, np.float32), 0, 255)
        if self.saturation != 1:
            grey = warped.mean(axis=2, keepdims=True)
            warped = np.clip(grey + (warped - grey) * self.saturation, 0, 255)
        if self.gamma != 1:
            warped = 255 * (warped / 255) ** self.gamma
        if self.blur > 0:
            warped = cv2.GaussianBlur(warped, (0, 0), self.blur * side / 128)
        if self.noise > 0:
            rng = np.random.default_rng(self.noise_seed)
            warped = warped + self.noise * rng.standard_normal(warped.shape, dtype=np.float32)
        return np.clip(np.round(warped), 0, 255).astype(np.uint8)

    def _inverted_within(self, warped: Float32Array) -> Float32Array:
        """Invert grey levels (S, S, 3), around 128 as contrast does; pixels from outside stay black.

        Pixels at the edge, which are mixed with black, are inverted as far as they are part of the image.
        """
        side = warped.shape[0]
        within = cv2.warpAffine(
            np.ones((side, side), np.float32), self._matrix(side), (side, side), flags=cv2.INTER_LINEAR
        )
        return 256 * within[..., None] - warped

    def apply_to_mask(self, mask: BoolArray) -> BoolArray:
        """Transform a mask (S, S) bool in the same way as the image."""
        if self == View():
            return mask
        return self.apply_to_labels(mask.astype(np.uint16)) > 0

    def apply_to_labels(self, labels: Uint16Array) -> Uint16Array:
        """Transform an instance map (S, S) in the same way as the image."""
        if self == View():
            return labels
        side = labels.shape[0]
        moved: Uint16Array = cv2.warpAffine(labels, self._matrix(side), (side, side), flags=cv2.INTER_NEAREST)
        return moved
