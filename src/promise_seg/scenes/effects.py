"""Effects of light, lens and sensor, applied after the objects are painted.

Images are (S, S, 3) float32, nominally in [0, 1]; covers and heights are (S, S) float32.
"""

import cv2
import numpy as np

from promise_seg.arrays import Float32Array
from promise_seg.scenes.textures import fractal_noise


def soften(cover: Float32Array, sigma: float) -> Float32Array:
    """Blur an outline by ``sigma`` pixels."""
    return cover if sigma <= 0 else cv2.GaussianBlur(cover, (0, 0), sigma)


def dome(rng: np.random.Generator, cover: Float32Array) -> Float32Array:
    """Return the height in pixels of a bump over ``cover``: 0 at its edge, at most about its inner radius."""
    depth = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    top = depth.max()
    if top <= 0:
        return np.zeros_like(cover)
    rise = np.clip(depth / (top * rng.uniform(0.4, 1.0)), 0, 1)
    height = np.sqrt(1 - (1 - rise) ** 2) * top
    return cv2.GaussianBlur(height.astype(np.float32), (0, 0), max(0.6, 0.06 * top))


def relief(picture: Float32Array, height: Float32Array, light_xy: tuple[float, float], strength: float) -> Float32Array:
    """Shade an image by a height map in pixels, lit from a point (``light_xy``, in pixels) close to the camera."""
    size = height.shape[0]
    dx, dy = cv2.Sobel(height, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(height, cv2.CV_32F, 0, 1) / 8
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    to_light = np.stack([light_xy[0] - x, light_xy[1] - y, np.full_like(x, 0.7 * size)], -1)
    to_light /= np.linalg.norm(to_light, axis=-1, keepdims=True)
    normal = np.stack([-dx, -dy, np.ones_like(dx)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    lambert = np.clip((normal * to_light).sum(-1), 0, 1)
    gloss = np.clip(2 * lambert * normal[..., 2] - to_light[..., 2], 0, 1) ** 40
    shaded = picture * (1 - strength + strength * 1.2 * lambert)[..., None]
    return np.clip(shaded + 0.5 * strength * gloss[..., None], 0, 1).astype(np.float32)


def cast_shadow(rng: np.random.Generator, picture: Float32Array, cover: Float32Array) -> Float32Array:
    """Darken the surroundings of an object, before it is painted."""
    reach = max(1, picture.shape[0] // 32)
    moved = np.roll(cover, (int(rng.integers(-reach, reach + 1)), int(rng.integers(-reach, reach + 1))), (0, 1))
    return picture * (1 - rng.uniform(0.1, 0.5) * cv2.GaussianBlur(moved, (0, 0), reach / 2))[..., None]


def uneven_light(rng: np.random.Generator, picture: Float32Array) -> Float32Array:
    """Multiply an image (S, S, 3) by a smooth, random brightness."""
    size = picture.shape[0]
    light = fractal_noise(rng, size, cells=int(rng.integers(1, 4)))
    light = light / (np.abs(light).max() + 1e-6)
    return picture * (1 + rng.uniform(0.1, 0.6) * light)[..., None]


def vignette(rng: np.random.Generator, picture: Float32Array) -> Float32Array:
    """Darken an image (S, S, 3) towards its corners."""
    size = picture.shape[0]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    return picture * np.clip(1 - rng.uniform(0.5, 2.0) * (x * x + y * y), 0, 1)[..., None]


def highlights(rng: np.random.Generator, picture: Float32Array) -> Float32Array:
    """Add small specular reflections, round or elongated."""
    size = picture.shape[0]
    glare = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 14))):
        centre = tuple(int(v) for v in rng.integers(0, size * 16, 2))
        axes = (int(rng.uniform(0.004, 0.03) * size * 16), int(rng.uniform(0.003, 0.012) * size * 16))
        cv2.ellipse(glare, centre, axes, rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_AA, 4)
    glare = soften(glare, float(rng.choice([0.0, 0.6, 1.0])))
    return picture + (1 - picture) * np.clip(glare, 0, 1)[..., None]


def hairs(rng: np.random.Generator, picture: Float32Array) -> Float32Array:
    """Draw dark hairs over an image (S, S, 3)."""
    size = picture.shape[0]
    picture = np.ascontiguousarray(picture)
    colour = [float(v) for v in rng.uniform(0, 0.3, 3)]
    for _ in range(int(rng.integers(2, 12))):
        drift = rng.normal(0, 0.055 * size, 2)
        path = np.cumsum(rng.normal(0, 0.03 * size, (8, 2)) + drift, 0) + rng.uniform(0, size, 2)
        points = [np.round(path * 16).astype(np.int32)]
        cv2.polylines(picture, points, False, colour, int(rng.integers(1, 3)), cv2.LINE_AA, 4)
    return picture


def speckle(rng: np.random.Generator, picture: Float32Array) -> Float32Array:
    """Add multiplicative grain, as in ultrasound."""
    grain = cv2.GaussianBlur(rng.standard_normal(picture.shape[:2], dtype=np.float32), (0, 0), rng.uniform(0.4, 1.2))
    return picture * (1 + rng.uniform(0.1, 0.35) * grain / (grain.std() + 1e-6))[..., None]


def sensor(rng: np.random.Generator, picture: Float32Array) -> Float32Array:
    """Apply the blur, gain, gamma and noise of a camera."""
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.0))
    picture = np.asarray(np.clip(picture * rng.uniform(0.7, 1.25), 0, 1) ** rng.uniform(0.7, 1.4), np.float32)
    return picture + rng.normal(0, rng.choice([0, 0.01, 0.03]), picture.shape).astype(np.float32)


def grey(picture: Float32Array) -> Float32Array:
    """Convert an image (S, S, 3) to grey, with three equal channels."""
    return np.repeat(picture.mean(2, keepdims=True), 3, 2)


def scope_frame(rng: np.random.Generator, size: int) -> Float32Array:
    """Return the window of an endoscope or microscope, or of an image padded to a square: 1 inside, 0 outside."""
    window = np.zeros((size, size), np.float32)
    kind = rng.random()
    if kind < 0.3:
        centre = tuple(round((0.5 + rng.uniform(-0.06, 0.06)) * size * 16) for _ in range(2))
        cv2.circle(window, centre, round(rng.uniform(0.45, 0.68) * size * 16), 1.0, -1, cv2.LINE_AA, 4)
    elif kind < 0.6:
        cut, edge = rng.uniform(0.02, 0.2) * size, rng.uniform(0, 0.06) * size
        lo, hi = edge, size - 1 - edge
        corners = [(lo + cut, lo), (hi - cut, lo), (hi, lo + cut), (hi, hi - cut),
                   (hi - cut, hi), (lo + cut, hi), (lo, hi - cut), (lo, lo + cut)]  # fmt: skip
        cv2.fillPoly(window, [np.round(np.array(corners) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    else:
        keep = round(rng.uniform(0.6, 0.95) * size)
        start = 0 if rng.random() < 0.6 else (size - keep) // 2
        window[start : start + keep] = 1
        window = window.T.copy() if rng.random() < 0.5 else window
    return window
