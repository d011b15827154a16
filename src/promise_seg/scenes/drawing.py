"""Draw one scene from a seed."""

import numpy as np

from promise_seg.arguments import shown, whole_number
from promise_seg.arrays import Float32Array, Uint8Array
from promise_seg.errors import SettingsError
from promise_seg.scenes import effects
from promise_seg.scenes.kinds import KIND_WEIGHTS, KINDS
from promise_seg.scenes.types import Scene

LEAST_SIDE, MOST_SIDE = 8, 8192
"""The sides of the images that can be drawn, in pixels."""


def _develop(
    rng: np.random.Generator, kind: str, picture: Float32Array, instances: Uint8Array
) -> tuple[Float32Array, Uint8Array]:
    """Add the effects of light, hairs, frame and camera to a painted scene."""
    medical = kind != "layers"
    if rng.random() < 0.5:
        picture = effects.uneven_light(rng, picture)
    if rng.random() < 0.3:
        picture = effects.vignette(rng, picture)
    if rng.random() < (0.75 if kind == "mucosa" else 0.3):
        picture = effects.highlights(rng, np.clip(picture, 0, 1))
    if rng.random() < (0.35 if kind == "lesion" else 0.05):
        picture = effects.hairs(rng, picture)
    picture = effects.sensor(rng, picture)
    if rng.random() < (0.3 if medical else 0.1):
        window = effects.scope_frame(rng, picture.shape[0])
        picture = picture * window[..., None]
        instances = np.where(window > 0.5, instances, 0).astype(np.uint8)
    if rng.random() < 0.12:
        picture = effects.grey(picture)
    return picture, instances


def draw_scene(seed: int | list[int], size: int = 128, kind: str | None = None) -> Scene:
    """Draw a scene; the same arguments always give the same scene.

    Args:
        seed: a non-negative integer, or a list of them.
        size: the side of the square image, in pixels, from 8 to 8192.
        kind: a key of :data:`~promise_seg.scenes.kinds.KINDS`; drawn by weight if ``None``.

    Returns:
        A scene with at least one object of 0.1 to 60 % of the image.

    Raises:
        SettingsError: if a value is invalid, or there is no such kind.
    """
    for one in seed if isinstance(seed, list) else [seed]:
        whole_number(one, "seed", 0)
    whole_number(size, "size", LEAST_SIDE)
    if size > MOST_SIDE:
        raise SettingsError(f"size {size}: expected at most {MOST_SIDE}")
    if kind is not None and kind not in tuple(KINDS):
        raise SettingsError(f"kind {shown(kind)}: expected one of {', '.join(KINDS)}")
    rng = np.random.default_rng(seed)
    chosen = kind or str(rng.choice(list(KIND_WEIGHTS), p=list(KIND_WEIGHTS.values())))
    while True:
        picture, instances = _develop(rng, chosen, *KINDS[chosen](rng, size))
        scene = Scene((np.clip(picture, 0, 1) * 255).round().astype(np.uint8), instances, chosen)
        if scene.object_ids():
            return scene
