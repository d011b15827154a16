"""Outlines for drawn scenes: each function returns an anti-aliased cover, (size, size) float32 in [0, 1]."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from promise_seg.arrays import Float32Array

_SHIFT = 4  # cv2 takes coordinates in sixteenths of a pixel


def _fill(points_xy: npt.NDArray[np.floating], size: int) -> Float32Array:
    cover = np.zeros((size, size), np.uint8)
    cv2.fillPoly(cover, [np.round(points_xy * 2**_SHIFT).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    return (cover / 255).astype(np.float32)


def _place(rng: np.random.Generator, xy: npt.NDArray[np.floating], cx: float, cy: float) -> npt.NDArray[np.floating]:
    """Rotate an outline around the origin by a random angle and move it to (cx, cy)."""
    a = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return xy @ turn + np.array([cx, cy])


def blob(rng: np.random.Generator, size: int, cx: float, cy: float, radius: float) -> Float32Array:
    """Draw a closed curve whose radius is a random Fourier series, from nearly round to ragged."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    profile = np.ones_like(angles)
    roughness = rng.uniform(0.02, 0.3)
    for k in range(1, int(rng.integers(2, 9))):
        profile += rng.normal(0, roughness / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    profile = radius * np.clip(profile, 0.25, 2.2)
    squeeze = rng.uniform(0.45, 1.0)
    return _fill(_place(rng, np.stack([profile * np.cos(angles), squeeze * profile * np.sin(angles)], 1), cx, cy), size)


def ellipse(rng: np.random.Generator, size: int, cx: float, cy: float, radius: float) -> Float32Array:
    """Draw a rotated ellipse: the cover of each pixel, (S, S) in [0, 1]."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    squeeze = rng.uniform(0.4, 1.0)
    return _fill(_place(rng, radius * np.stack([np.cos(angles), squeeze * np.sin(angles)], 1), cx, cy), size)


def polygon(rng: np.random.Generator, size: int, cx: float, cy: float, radius: float) -> Float32Array:
    """Draw an irregular polygon of three to seven corners: the cover of each pixel, (S, S) in [0, 1]."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
    radii = radius * rng.uniform(0.6, 1.2, len(angles))
    return _fill(_place(rng, np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1), cx, cy), size)


def tube(rng: np.random.Generator, size: int, cx: float, cy: float, radius: float) -> Float32Array:
    """Draw a bent thick line, like a vessel, a fold or an instrument."""
    steps = 24
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0.0, 0.25), steps))
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0) * radius * 4 / steps
    path += np.array([cx, cy]) - path[steps // 2]
    cover = np.zeros((size, size), np.uint8)
    thickness = max(2, round(radius * rng.uniform(0.25, 0.6)))
    cv2.polylines(cover, [np.round(path * 2**_SHIFT).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, _SHIFT)
    return (cover / 255).astype(np.float32)


def lobes(rng: np.random.Generator, size: int, cx: float, cy: float, radius: float) -> Float32Array:
    """Draw a few overlapping blobs as one object."""
    cover = blob(rng, size, cx, cy, radius * 0.7)
    for _ in range(int(rng.integers(1, 4))):
        a = rng.uniform(0, 2 * np.pi)
        x, y = cx + radius * 0.6 * np.cos(a), cy + radius * 0.6 * np.sin(a)
        cover = np.maximum(cover, blob(rng, size, x, y, radius * rng.uniform(0.3, 0.6)))
    return cover


def crescent(rng: np.random.Generator, size: int, cx: float, cy: float, radius: float) -> Float32Array:
    """Draw a blob with a bite, or with a hole if the bite is inside."""
    a = rng.uniform(0, 2 * np.pi)
    away = radius * rng.uniform(0.0, 0.9)
    bite = ellipse(rng, size, cx + away * np.cos(a), cy + away * np.sin(a), radius * rng.uniform(0.3, 0.7))
    return blob(rng, size, cx, cy, radius) * (1 - bite)


_SHAPES: tuple[tuple[Callable[..., Float32Array], float], ...] = (
    (blob, 0.46),
    (ellipse, 0.14),
    (polygon, 0.14),
    (tube, 0.08),
    (lobes, 0.12),
    (crescent, 0.06),
)


def random_shape(rng: np.random.Generator, size: int, cx: float, cy: float, radius: float) -> Float32Array:
    """Draw a shape of a random kind: the cover of each pixel, (S, S) in [0, 1]."""
    shapes, weights = zip(*_SHAPES, strict=True)
    return shapes[rng.choice(len(shapes), p=weights)](rng, size, cx, cy, radius)


def rounded_shape(rng: np.random.Generator, size: int, cx: float, cy: float, radius: float) -> Float32Array:
    """Draw a shape like a lesion or organ: without corners or bites."""
    kind = rng.random()
    if kind < 0.2:
        return ellipse(rng, size, cx, cy, radius)
    return lobes(rng, size, cx, cy, radius) if kind < 0.35 else blob(rng, size, cx, cy, radius)
