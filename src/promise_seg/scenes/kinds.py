"""The kinds of drawn scenes: layers of arbitrary shapes, and four kinds that imitate medical images.

Each painter takes ``(rng, size)`` and returns an image (S, S, 3) float32 in [0, 1] and instances (S, S) uint8.
To add a kind, write a painter and add it to :data:`KINDS`.
"""

from collections.abc import Callable

import cv2
import numpy as np

from promise_seg.arrays import Float32Array, Uint8Array
from promise_seg.scenes import effects, shapes, textures

Painting = tuple[Float32Array, Uint8Array]


def _radius(rng: np.random.Generator, size: int, low: float, high: float) -> float:
    """Draw a log-uniform radius in pixels; ``low`` and ``high`` are fractions of the side."""
    return float(np.exp(rng.uniform(np.log(low * size), np.log(high * size))))


def _blend(picture: Float32Array, surface: Float32Array, alpha: Float32Array) -> Float32Array:
    return picture + (surface - picture) * alpha[..., None]


def paint_layers(rng: np.random.Generator, size: int) -> Painting:
    """Paint many textured shapes of any colour on top of each other."""
    base = textures.random_colour(rng)
    picture = textures.paint(rng, size, base)
    instances = np.zeros((size, size), np.uint8)
    for i in range(1, int(rng.integers(3, 13))):
        x, y = rng.uniform(0, size, 2)
        cover = shapes.random_shape(rng, size, x, y, _radius(rng, size, 0.05, 0.35))
        colour = textures.random_colour(rng, near=base if rng.random() < 0.35 else None)
        surface = textures.paint(rng, size, colour)
        if rng.random() < 0.25:
            light = tuple(rng.uniform(-0.2, 1.2, 2) * size)
            surface = effects.relief(surface, effects.dome(rng, cover), light, rng.uniform(0.3, 0.9))
        if rng.random() < 0.3:
            picture = effects.cast_shadow(rng, picture, cover)
        picture = _blend(picture, surface, effects.soften(cover, float(rng.choice([0, 0, 0.5, 1.0]))))
        instances[cover > 0.5] = i
    return picture, instances


def paint_lesion(rng: np.random.Generator, size: int) -> Painting:
    """Paint a few stains or growths with soft edges that differ little from the tissue around them."""
    base = textures.random_colour(rng)
    picture = textures.paint(rng, size, base)
    instances = np.zeros((size, size), np.uint8)
    for i in range(1, int(rng.integers(2, 5))):
        x, y = rng.uniform(0.12 * size, 0.88 * size, 2)
        cover = shapes.rounded_shape(rng, size, x, y, _radius(rng, size, 0.06, 0.34))
        surface = textures.paint(rng, size, textures.random_colour(rng, near=base))
        if rng.random() < 0.4:  # the tissue's own pattern shows through
            surface = _blend(
                picture * rng.uniform(0.5, 1.3), surface, np.float32(rng.uniform(0.1, 0.6)) * np.ones_like(cover)
            )
        if rng.random() < 0.5:
            light = tuple(rng.uniform(-0.2, 1.2, 2) * size)
            surface = effects.relief(surface, effects.dome(rng, cover), light, rng.uniform(0.3, 0.9))
        if rng.random() < 0.3:
            picture = effects.cast_shadow(rng, picture, cover)
        picture = _blend(picture, surface, effects.soften(cover, float(rng.choice([0.4, 0.8, 1.5, 2.5])) * size / 128))
        instances[cover > 0.5] = i
    return picture, instances


def paint_mucosa(rng: np.random.Generator, size: int) -> Painting:
    """Paint the inside of a hollow organ: folds, a dark lumen, and growths that differ mainly in relief."""
    base = textures.random_colour(rng)
    if rng.random() < 0.7:  # most often warm
        base = np.clip(np.array([0.8, 0.45, 0.35]) + rng.normal(0, 0.13, 3), 0, 1).astype(np.float32)
    contrast = float(rng.choice([0.01, 0.03, 0.06]))
    picture = textures.paint(rng, size, base, contrast)
    height = effects.soften(textures.fractal_noise(rng, size, cells=int(rng.integers(2, 6))), 1.5)
    height *= rng.uniform(0.2, 2.0) * size / 128
    for _ in range(int(rng.integers(0, 6))):  # folds, which are not objects
        x, y = rng.uniform(0, size, 2)
        fold = shapes.tube(rng, size, x, y, _radius(rng, size, 0.1, 0.3))
        height = height + effects.dome(rng, fold) * rng.uniform(0.3, 1.0)
    if rng.random() < 0.6:  # vessels
        vessels = np.zeros((size, size), np.float32)
        for _ in range(int(rng.integers(1, 6))):
            x, y = rng.uniform(0, size, 2)
            vessel = shapes.tube(rng, size, x, y, _radius(rng, size, 0.05, 0.2))
            vessels = np.maximum(vessels, cv2.erode(vessel, None))
        picture = picture * (1 - rng.uniform(0.1, 0.4) * effects.soften(vessels, 0.7)[..., None] * (1 - base))
    instances = np.zeros((size, size), np.uint8)
    for i in range(1, int(rng.choice([2, 2, 2, 3, 3, 4]))):
        x, y = rng.uniform(0.12 * size, 0.88 * size, 2)
        cover = shapes.rounded_shape(rng, size, x, y, _radius(rng, size, 0.07, 0.34))
        colour = np.clip(base + rng.normal(0, rng.uniform(0.01, 0.1), 3), 0, 1).astype(np.float32)
        surface = textures.paint(rng, size, colour, contrast * rng.uniform(0.5, 2.0))
        alpha = effects.soften(cover, rng.uniform(0.5, 2.0) * size / 128)
        if rng.random() < 0.4:
            picture = effects.cast_shadow(rng, picture, cover)
        picture = _blend(picture, surface, alpha * rng.uniform(0.3, 1.0))
        height = height * (1 - alpha * rng.uniform(0.3, 1.0)) + effects.dome(rng, cover) * rng.uniform(0.4, 1.2)
        instances[cover > 0.5] = i
    light = tuple(rng.uniform(0.2, 0.8, 2) * size)
    picture = effects.relief(picture, height.astype(np.float32), light, rng.uniform(0.5, 1.0))
    if rng.random() < 0.5:  # the lumen, far from the light
        x, y = rng.uniform(0, size, 2)
        hole = shapes.ellipse(rng, size, x, y, _radius(rng, size, 0.08, 0.3))
        hole = effects.soften(hole, rng.uniform(0.02, 0.08) * size) * (instances == 0)
        picture = picture * (1 - rng.uniform(0.4, 0.95) * effects.soften(hole, 1.0)[..., None])
    return picture, instances


def paint_cells(rng: np.random.Generator, size: int) -> Painting:
    """Paint many small bodies of one stain, some touching, on an even background."""
    base, stain = textures.random_colour(rng), textures.random_colour(rng)
    if rng.random() < 0.4:  # fluorescence: bright on black
        base, stain = base * 0.12, np.clip(stain + 0.3, 0, 1)
    picture = textures.paint(rng, size, base, float(rng.choice([0.005, 0.02, 0.05])))
    surface = textures.paint(rng, size, stain, float(rng.choice([0.02, 0.06, 0.12])))
    typical = _radius(rng, size, 0.035, 0.11)
    instances = np.zeros((size, size), np.uint8)
    softness = float(rng.choice([0, 0.5, 0.9])) * size / 128
    for i in range(1, int(rng.integers(6, 36))):
        x, y = rng.uniform(0, size, 2)
        cover = (shapes.ellipse if rng.random() < 0.6 else shapes.blob)(
            rng, size, x, y, typical * rng.uniform(0.7, 1.4)
        )
        if rng.random() < 0.7 and ((cover > 0.5) & (instances > 0)).any():
            continue
        shade = np.clip(surface * rng.uniform(0.6, 1.3), 0, 1)
        if rng.random() < 0.5:
            rim = cover - effects.soften(cv2.erode(cover, None), 0.7)
            shade = np.clip(shade * (1 - rng.uniform(-0.3, 0.5) * rim[..., None]), 0, 1)
        picture = _blend(picture, shade, effects.soften(cover, softness) * rng.uniform(0.5, 1.0))
        instances[cover > 0.5] = i
    return picture, instances


def paint_section(rng: np.random.Generator, size: int) -> Painting:
    """Paint a grey slice through a body: organs inside organs, each of uniform brightness, with grain or speckle."""
    x, y = size * rng.uniform(0.42, 0.58, 2)
    body = shapes.ellipse(rng, size, x, y, size * rng.uniform(0.4, 0.65))
    instances = np.zeros((size, size), np.uint8)
    back, flesh = rng.uniform(0, 0.15), rng.uniform(0.2, 0.7)
    grain = rng.choice([0.005, 0.02, 0.05])
    level = back + (flesh - back) * effects.soften(body, 0.6)
    level = level + grain * textures.fractal_noise(rng, size, cells=16) * body
    for i in range(1, int(rng.integers(3, 10))):
        x, y = rng.uniform(0.15 * size, 0.85 * size, 2)
        shape = shapes.tube if rng.random() < 0.12 else shapes.rounded_shape
        cover = shape(rng, size, x, y, _radius(rng, size, 0.05, 0.25)) * body
        organ = rng.uniform(0, 1) if rng.random() < 0.4 else np.clip(flesh + rng.normal(0, 0.15), 0, 1)
        fill = organ + grain * textures.pattern(rng, size)
        alpha = effects.soften(cover, float(rng.choice([0.4, 0.8, 1.4])) * size / 128)
        level = level + (fill - level) * alpha
        instances[cover > 0.5] = i
    picture = np.repeat(np.clip(level, 0, 1)[..., None], 3, 2).astype(np.float32)
    return (effects.speckle(rng, picture) if rng.random() < 0.4 else picture), instances


MEDICAL_KINDS: dict[str, Callable[[np.random.Generator, int], Painting]] = {
    "lesion": paint_lesion,
    "mucosa": paint_mucosa,
    "cells": paint_cells,
    "section": paint_section,
}
KINDS: dict[str, Callable[[np.random.Generator, int], Painting]] = {"layers": paint_layers, **MEDICAL_KINDS}
KIND_WEIGHTS: dict[str, float] = {"layers": 0.5, "lesion": 0.17, "mucosa": 0.19, "cells": 0.06, "section": 0.08}
