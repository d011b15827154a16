"""Recipes built from MONAI's transforms. Importing MONAI takes seconds: import this module where it is used.

Each function builds a recipe for images of one side, on dictionaries with ``image`` (C, S, S) float32 in grey levels,
``mask`` (1, S, S), or both. Each transform has its own random numbers, so a mask alone moves like its image. Changes of
brightness and contrast come before spatial transforms, so pixels from outside the image stay black.
"""

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from monai.transforms import (
    BorderPadd,
    CenterSpatialCropd,
    Compose,
    Identityd,
    OneOf,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandCoarseDropoutd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSharpend,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSimulateLowResolutiond,
)

from promise_seg.arrays import Uint8Array
from promise_seg.augmentation.degradations import RandClahed, RandJpegd, RandWindowBlurd, to_grey_values
from promise_seg.augmentation.moves import RandSimilarityd

_BOTH: dict[str, Any] = {"keys": ("image", "mask"), "allow_missing_keys": True}
_IMAGE: dict[str, Any] = {"keys": "image", "allow_missing_keys": True}
_MODES: dict[str, Any] = {"mode": ("bilinear", "nearest")}


def reference(side: int) -> Compose:
    """Build the published recipe: each change with probability 0.25, dropped patches with 0.1.

    Source: ProMISe, "Training": crop to 95-105 %; flips; shift, scale and rotation up to 45 degrees; a blur; brightness
    and contrast; one of CLAHE, sharpening, JPEG, noise; dropped patches. It states no other strengths and
    no kinds of blur: those here are ours, close to the defaults of augmentation libraries at 1024 px, and scale with
    the side.
    """
    radius = (max(1, round(side / 1024)), max(1, round(side * 3 / 1024)))
    blurs = (
        _smoothing(side, (0.1, 0.4)),
        RandWindowBlurd(prob=1, kind="mean", radius=radius, **_IMAGE),
        RandWindowBlurd(prob=1, kind="median", radius=radius, **_IMAGE),
    )
    sharpening = RandGaussianSharpend(
        prob=1,
        **_sigmas("sigma1", (0.1, 0.1)),
        **_sigmas("sigma2", _pixels(side, (0.5, 1.0))),
        alpha=(0.3, 1),
        **_IMAGE,
    )
    degradations = (
        RandClahed(prob=1, clip=(1, 3), **_IMAGE),
        _reflected(side, sharpening),
        RandJpegd(prob=1, quality=(70, 95), **_IMAGE),
        RandGaussianNoised(prob=1, std=8, **_IMAGE),
    )
    crop = RandAffined(
        prob=0.25,
        scale_range=(0.05, 0.05),
        translate_range=(0.025 * side,) * 2,
        padding_mode="zeros",
        **_BOTH,
        **_MODES,
    )
    brightness_and_contrast = Compose(
        [RandScaleIntensityd(factors=0.2, prob=1, **_IMAGE), RandShiftIntensityd(offsets=51, prob=1, **_IMAGE)]
    )
    return Compose(
        [
            _sometimes(0.25, brightness_and_contrast),
            crop,
            RandFlipd(prob=0.25, spatial_axis=0, **_BOTH),
            RandFlipd(prob=0.25, spatial_axis=1, **_BOTH),
            RandSimilarityd(prob=0.25, degrees=45, zoom=(0.9, 1.1), shift=0.0625, **_BOTH, **_MODES),
            _sometimes(0.25, *blurs),
            _sometimes(0.25, *degradations),
            RandCoarseDropoutd(prob=0.1, holes=8, spatial_size=max(1, round(side / 128)), fill_value=0, **_IMAGE),
        ]
    )


def light(side: int) -> Compose:
    """Build ``light``: each flip in half of the views; always a small rotation, zoom, shift, brightness, contrast."""
    return Compose(
        [
            RandScaleIntensityd(factors=0.1, prob=1, **_IMAGE),
            RandShiftIntensityd(offsets=12, prob=1, **_IMAGE),
            RandFlipd(prob=0.5, spatial_axis=0, **_BOTH),
            RandFlipd(prob=0.5, spatial_axis=1, **_BOTH),
            RandSimilarityd(prob=1, degrees=15, zoom=(0.9, 1.1), shift=0.05, **_BOTH, **_MODES),
        ]
    )


def grey(side: int) -> Compose:
    """Build ``grey``, for CT, MR and ultrasound: without flips, because bodies keep their orientation.

    Always a small rotation, zoom and shift; gamma in half of the views, and less often a bias field, smoothing, low
    resolution and noise. Low-resolution images are enlarged by "bicubic", because PyTorch's "bilinear" depends on the
    number of threads.
    """
    return Compose(
        [
            RandAdjustContrastd(prob=0.5, gamma=(0.7, 1.5), **_IMAGE),
            RandBiasFieldd(prob=0.3, coeff_range=(-0.1, 0.1), **_IMAGE),
            RandSimilarityd(prob=1, degrees=12, zoom=(0.85, 1.15), shift=0.06, **_BOTH, **_MODES),
            _sometimes(0.2, _smoothing(side, (0.2, 0.6))),
            RandSimulateLowResolutiond(prob=0.2, upsample_mode="bicubic", zoom_range=(0.5, 0.9), **_IMAGE),
            RandGaussianNoised(prob=0.3, std=10, **_IMAGE),
        ]
    )


_BUILDERS: dict[str, Callable[[int], Compose]] = {"reference": reference, "light": light, "grey": grey}


def apply(recipe: str, seed: int, key: Literal["image", "mask"], pixels: Uint8Array) -> Uint8Array:
    """Apply a recipe to (S, S, C) uint8, as an image or as a mask."""
    transforms = _built(recipe, pixels.shape[0], threading.get_ident())
    transforms.set_random_state(seed)
    channels_first = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float()
    return to_grey_values(torch.as_tensor(transforms({key: channels_first})[key]))


@lru_cache(maxsize=16)
def _built(recipe: str, side: int, thread: int) -> Compose:
    """Return a recipe, cached for each thread, because it holds the random state, which every call sets again.

    Building a recipe takes as long as applying it to a small image.
    """
    return _BUILDERS[recipe](side)


def _sometimes(probability: float, *choices: Any) -> OneOf:
    """Return a transform that applies one of ``choices``, equally likely, with a total probability; otherwise none."""
    weights = [1 - probability] + [probability / len(choices)] * len(choices)
    return OneOf([Identityd(**_IMAGE), *choices], weights=weights)


def _pixels(side: int, per_128: tuple[float, float]) -> tuple[float, float]:
    return per_128[0] * side / 128, per_128[1] * side / 128


def _sigmas(name: str, values: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return {f"{name}_{axis}": values for axis in "xyz"}


def _smoothing(side: int, sigma_per_128: tuple[float, float]) -> Compose:
    sigmas = _sigmas("sigma", _pixels(side, sigma_per_128))
    return _reflected(side, RandGaussianSmoothd(prob=1, **sigmas, **_IMAGE))


def _reflected(side: int, transform: Any) -> Compose:
    """Wrap ``transform`` to mirror the image at its borders, where MONAI's filters would see black."""
    margin = min(side - 1, 4 + side // 24)
    return Compose(
        [
            BorderPadd(spatial_border=margin, mode="reflect", **_IMAGE),
            transform,
            CenterSpatialCropd(roi_size=side, **_IMAGE),
        ]
    )
