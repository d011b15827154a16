"""Drawn 3-D bodies: anisotropic volumes with a few organs, for tests and benchmarks without data."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from promise_seg.arrays import BoolArray, Float32Array, Float64Array, Uint8Array

ORGANS = 3
"""The number of organs in a drawn body; their labels are 1, 2 and 3."""
_LEVELS = (0.70, 0.86, 0.38)
_FLESH = 0.54


class Body(NamedTuple):
    """A drawn volume: grey levels (D, H, W) uint8, and a label map of its organs (D, H, W) uint8."""

    values: Uint8Array
    labels: Uint8Array


def draw_body(
    seed: int | Sequence[int], shape: tuple[int, int, int] = (20, 64, 64), spacing: Sequence[float] = (5.0, 1.5, 1.5)
) -> Body:
    """Draw a body with three organs of different brightness, and unlabelled vessels as bright as the organs.

    Every slice has its own grain and brightness, as in scans that acquire one slice after another: neighbouring slices
    may show structures that a slice alone does not.

    Args:
        seed: seed that determines the result.
        shape: the number of slices, rows and columns.
        spacing: the distances between slices, rows and columns, in mm.
    """
    rng = np.random.default_rng(seed)
    size = np.multiply(shape, spacing)
    place = np.meshgrid(*((np.arange(n) + 0.5) * step for n, step in zip(shape, spacing, strict=True)), indexing="ij")
    values = np.full(shape, 0.06, np.float32)
    labels = np.zeros(shape, np.uint8)
    flesh = _solid(rng, place, size * 0.5, size * (0.75, 0.46, 0.46), spacing, 0.05)
    values[flesh] = _FLESH
    for number in rng.permutation(ORGANS) + 1:
        centre = size * rng.uniform((0.35, 0.3, 0.3), (0.65, 0.7, 0.7))
        organ = flesh & _solid(rng, place, centre, size * rng.uniform(0.12, 0.24, 3), spacing, 0.35)
        values[organ], labels[organ] = _LEVELS[number - 1], number
    for number in range(6):
        centre = size * rng.uniform(0.15, 0.85, 3)
        vessel = flesh & (labels == 0) & _solid(rng, place, centre, size[1] * rng.uniform(0.03, 0.07, 3), spacing, 0.2)
        values[vessel] = _LEVELS[number % ORGANS]
    return Body(_acquired(rng, values), labels)


def _solid(
    rng: np.random.Generator,
    place: Sequence[Float64Array],
    centre: Float64Array,
    radii: Float64Array,
    spacing: Sequence[float],
    roughness: float,
) -> BoolArray:
    """Return an ellipsoid with an uneven surface, (D, H, W) bool; centre, radii and spacing in mm."""
    squared = sum(((at - middle) / radius) ** 2 for at, middle, radius in zip(place, centre, radii, strict=True))
    noise = ndimage.gaussian_filter(rng.standard_normal(np.shape(squared)), [8 / step for step in spacing])
    return np.asarray(np.sqrt(squared) + roughness * noise / (noise.std() + 1e-6) * 0.5 < 1)


def _acquired(rng: np.random.Generator, values: Float32Array) -> Uint8Array:
    """Simulate the acquisition by a scanner: blur within slices, uneven brightness, and grain."""
    blurred = ndimage.gaussian_filter(values, (0, 0.7, 0.7))
    count = len(values)
    gain = 1 + rng.normal(0, 0.06, count)[:, None, None]
    grain = rng.normal(0, 1, values.shape) * rng.uniform(0.02, 0.08, count)[:, None, None]
    shade = ndimage.gaussian_filter(rng.standard_normal(values.shape), (0, *(side / 5 for side in values.shape[1:])))
    shade *= 0.05 / (shade.std() + 1e-6)
    return np.round(np.clip(blurred * gain + grain + shade, 0, 1) * 255).astype(np.uint8)
