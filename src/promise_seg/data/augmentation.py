"""Augmented views of training images.

A view is fixed by the image's content and the view's number, not by a run's seed, so that its features can be stored
and shared by all runs. View 0 is the image itself.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Uint8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """What is done to an image in the model frame, in the order of the fields.

    ``angle`` in degrees; ``shift_x`` and ``shift_y`` as shares of the side; ``brightness`` in grey values; ``hue`` as a
    gain for each channel; ``blur`` the standard deviation in pixels per 128 pixels of side; ``noise`` in grey values;
    ``equalise`` is CLAHE on lightness; ``sharpen`` the weight of an unsharp mask; ``jpeg`` a quality, 0 for none;
    ``dropped`` blackens boxes (x, y, width, height as shares of the side) of the image, not of the mask.
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
    gamma: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    equalise: bool = False
    sharpen: float = 0.0
    jpeg: int = 0
    dropped: tuple[tuple[float, float, float, float], ...] = ()

    def as_key(self) -> dict[str, Any]:
        """All that changes the pixels, for the feature store: what differs from the image itself, so that a new kind
        of change leaves the keys of old views alone."""
        unchanged = asdict(View())
        return {name: value for name, value in asdict(self).items() if value != unchanged[name]}

    def _matrix(self, side: int) -> npt.NDArray[np.float64]:
        centre = (side - 1) / 2
        matrix = cv2.getRotationMatrix2D((centre, centre), self.angle, self.scale)
        matrix[:, 2] += np.array([self.shift_x, self.shift_y]) * side
        mirror = np.diag([-1.0 if self.flip_x else 1.0, -1.0 if self.flip_y else 1.0])
        offset = np.array([2 * centre if self.flip_x else 0.0, 2 * centre if self.flip_y else 0.0])
        return np.concatenate([mirror @ matrix[:, :2], (mirror @ matrix[:, 2] + offset)[:, None]], 1)

    def apply_to_image(self, image: Uint8Array) -> Uint8Array:
        """(S, S, 3) uint8 to the same; what comes from outside is black."""
        if self == View():
            return image
        side = image.shape[0]
        warped = cv2.warpAffine(image, self._matrix(side), (side, side), flags=cv2.INTER_LINEAR).astype(np.float32)
        warped = (
            (warped - 128) * self.contrast + 128 + self.brightness if self.contrast != 1 else warped + self.brightness
        )
        warped = np.clip(warped * np.array(self.hue, np.float32), 0, 255)
        if self.gamma != 1:
            warped = 255 * (warped / 255) ** self.gamma
        if self.blur > 0:
            warped = cv2.GaussianBlur(warped, (0, 0), self.blur * side / 128)
        if self.noise > 0:
            rng = np.random.default_rng(self.noise_seed)
            warped = warped + self.noise * rng.standard_normal(warped.shape, dtype=np.float32)
        return self._degraded(np.clip(np.round(warped), 0, 255).astype(np.uint8))

    def _degraded(self, image: Uint8Array) -> Uint8Array:
        side = image.shape[0]
        if self.equalise:
            lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
            lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0])
            image = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
        if self.sharpen > 0:
            smooth = cv2.GaussianBlur(image, (0, 0), side / 128)
            image = cv2.addWeighted(image, 1 + self.sharpen, smooth, -self.sharpen, 0)
        if self.jpeg:
            _, coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
            image = np.ascontiguousarray(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
        for x, y, width, height in self.dropped:
            left, top = round(x * side), round(y * side)
            image[top : top + round(height * side), left : left + round(width * side)] = 0
        return image

    def apply_to_mask(self, mask: BoolArray) -> BoolArray:
        """(S, S) bool to the same, moved as the image is."""
        if self == View():
            return mask
        side = mask.shape[0]
        matrix = self._matrix(side)
        return cv2.warpAffine(mask.astype(np.uint8), matrix, (side, side), flags=cv2.INTER_NEAREST) > 0


class Recipe(StrEnum):
    """How views are drawn: our own way, or as often and as strong as the reference's."""

    OWN = "own"
    REFERENCE = "reference"


def view_of(image_sha256: str, number: int, recipe: Recipe = Recipe.OWN) -> View:
    """View ``number`` of the image with this hash."""
    if number == 0:
        return View()
    rng = np.random.default_rng([number, int(image_sha256[:16], 16)])
    return _own_view(rng) if recipe == Recipe.OWN else _reference_view(rng)


def _reference_view(rng: np.random.Generator) -> View:
    """Each change with probability 0.25, dropped patches with 0.1.

    Source: ProMISe, "Training": crop to 95-105 %; flips; shift, scale and rotation up to 45 degrees; a blur; brightness
    and contrast; one of CLAHE, sharpening, JPEG, noise; dropped patches. Strengths that it does not state are ours.
    """

    def happens(probability: float = 0.25) -> bool:
        return bool(rng.random() < probability)

    changes: dict[str, Any] = {}
    zoom, shift = 1.0, np.zeros(2)
    if happens():  # a crop, back at the full size
        zoom /= rng.uniform(0.95, 1.05)
        shift += rng.uniform(-0.5, 0.5, 2) * abs(1 - 1 / zoom)
    changes |= {"flip_x": happens(), "flip_y": happens()}
    if happens():
        zoom *= rng.uniform(0.9, 1.1)
        shift += rng.uniform(-0.0625, 0.0625, 2)
        changes["angle"] = float(rng.uniform(-45, 45))
    changes |= {"scale": float(zoom), "shift_x": float(shift[0]), "shift_y": float(shift[1])}
    if happens():
        changes["blur"] = float(rng.uniform(0.1, 0.4))
    if happens():
        changes |= {"contrast": float(rng.uniform(0.8, 1.2)), "brightness": float(rng.uniform(-51, 51))}
    if happens():
        kind = int(rng.integers(4))
        changes |= (
            {"equalise": True},
            {"sharpen": float(rng.uniform(0.2, 0.5))},
            {"jpeg": int(rng.integers(80, 100))},
            {"noise": float(rng.uniform(3, 7)), "noise_seed": int(rng.integers(2**31))},
        )[kind]
    if happens(0.1):
        changes["dropped"] = tuple((float(x), float(y), 1 / 128, 1 / 128) for x, y in rng.random((8, 2)))
    return View(**changes)


def _own_view(rng: np.random.Generator) -> View:
    """Turned, scaled, shifted, mirrored, in other colours, sometimes blurred or noisy.

    Source: ProMISe, "Training"; here most changes are always on, as each view is made only once.
    """
    return View(
        angle=float(rng.uniform(-45, 45)),
        scale=float(np.exp(rng.uniform(np.log(0.8), np.log(1.3)))),
        shift_x=float(rng.uniform(-0.1, 0.1)),
        shift_y=float(rng.uniform(-0.1, 0.1)),
        flip_x=bool(rng.random() < 0.5),
        flip_y=bool(rng.random() < 0.5),
        contrast=float(rng.uniform(0.75, 1.3)),
        brightness=float(rng.uniform(-20, 20)),
        hue=tuple(float(v) for v in rng.uniform(0.88, 1.12, 3)),  # type: ignore[arg-type]  # three of them
        gamma=float(rng.uniform(0.8, 1.25)),
        blur=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.25 else 0.0,
        noise=float(rng.uniform(1, 6)) if rng.random() < 0.25 else 0.0,
        noise_seed=int(rng.integers(2**31)),
    )
