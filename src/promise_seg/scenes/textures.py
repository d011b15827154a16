"""Colours and textures for drawn scenes.

Every function takes a :class:`numpy.random.Generator` first and draws at ``size`` x ``size`` pixels; colours are
float32 RGB in [0, 1].
"""

import cv2
import numpy as np

from promise_seg.arrays import Float32Array

_CONTRASTS = (0.01, 0.03, 0.06, 0.12, 0.2)


def fractal_noise(rng: np.random.Generator, size: int, cells: int | None = None) -> Float32Array:
    """Sum smooth noise at doubling frequencies: (size, size), mean 0 and standard deviation 1.

    ``cells`` is the number of noise cells along one side at the lowest frequency; random if ``None``.
    """
    cells = int(rng.choice([2, 3, 4, 6, 8, 12, 16])) if cells is None else cells
    persistence = rng.uniform(0.3, 0.9)
    noise = np.zeros((size, size), np.float32)
    for octave in range(int(rng.integers(1, 5))):
        side = min(size, cells * 2**octave) + 1
        grid = rng.standard_normal((side, side), dtype=np.float32)
        noise += persistence**octave * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def stripes(rng: np.random.Generator, size: int) -> Float32Array:
    """Draw parallel waves, more or less distorted by noise: (size, size), within [-1, 1]."""
    angle, waves = rng.uniform(0, np.pi), rng.uniform(4, 40)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    phase = 2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle))
    return np.sin(phase + rng.uniform(0, 2) * fractal_noise(rng, size)).astype(np.float32)


def spots(rng: np.random.Generator, size: int) -> Float32Array:
    """Draw round dots of similar size: (size, size), mean 0 and standard deviation 1."""
    dots = np.zeros((size, size), np.float32)
    radius = rng.uniform(0.006, 0.03) * size
    for x, y in rng.uniform(0, size, (int(rng.integers(15, 120)), 2)):
        cv2.circle(dots, (round(x * 16), round(y * 16)), max(8, round(radius * 16)), 1.0, -1, cv2.LINE_AA, 4)
    return (dots - dots.mean()) / (dots.std() + 1e-6)


def pattern(rng: np.random.Generator, size: int) -> Float32Array:
    """Draw a random grey pattern with mean about 0 and standard deviation about 1."""
    kind = rng.random()
    if kind < 0.2:
        return stripes(rng, size)
    noise = fractal_noise(rng, size)
    if kind < 0.35:
        return np.sign(noise) * np.sqrt(np.abs(noise))
    if kind < 0.45:
        ridges = -np.abs(noise)
        return (ridges - ridges.mean()) / (ridges.std() + 1e-6)
    return spots(rng, size) if kind < 0.55 else noise


def random_colour(rng: np.random.Generator, near: Float32Array | None = None) -> Float32Array:
    """Draw an RGB colour; ``near`` keeps it close to another colour, as with tissue on tissue."""
    if near is None:
        return rng.uniform(0, 1, 3).astype(np.float32)
    return np.clip(near + rng.normal(0, rng.uniform(0.03, 0.2), 3), 0, 1).astype(np.float32)


def paint(rng: np.random.Generator, size: int, colour: Float32Array, contrast: float | None = None) -> Float32Array:
    """Paint a surface (size, size, 3) of the given colour with a random pattern."""
    contrast = float(rng.choice(_CONTRASTS)) if contrast is None else contrast
    direction = np.ones(3) if rng.random() < 0.5 else rng.normal(0, 1, 3)
    direction /= np.linalg.norm(direction) + 1e-6
    surface = colour + contrast * pattern(rng, size)[..., None] * direction.astype(np.float32)
    return np.clip(surface, 0, 1).astype(np.float32)
