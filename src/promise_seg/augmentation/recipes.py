"""Recipes by name, and the views of an image that they draw."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np

from promise_seg.arrays import BoolArray, Uint8Array, Uint16Array
from promise_seg.augmentation.views import View
from promise_seg.vocabulary import Recipe

VERSIONS = {Recipe.REFERENCE: 1, Recipe.LIGHT: 1, Recipe.GREY: 1}
"""Versions of the recipes built from MONAI's transforms, part of the keys of the store. Raise one when pixels
change."""


@dataclass(frozen=True)
class RecipeView:
    """The transforms of a recipe, applied to an image in the model frame with random numbers from ``seed``.

    The pixels also depend on the version of MONAI, whose transforms may draw random numbers in another order, or
    interpolate differently, in the next version.
    """

    recipe: Recipe
    version: int
    seed: int

    def as_key(self) -> dict[str, Any]:
        """Return everything that changes the pixels, for the key in the feature store."""
        return {
            "recipe": str(self.recipe),
            "version": self.version,
            "seed": self.seed,
            "monai": monai_version(),
        }

    def apply_to_image(self, image: Uint8Array) -> Uint8Array:
        """Transform an image (S, S, 3) uint8; pixels from outside are black.

        With ``grey``, three equal channels are transformed as one, to stay equal: noise would differ otherwise.
        """
        from promise_seg.augmentation.monai_recipes import apply

        if self.recipe == Recipe.GREY and (image == image[..., :1]).all():
            return np.repeat(apply(self.recipe, self.seed, "image", image[..., :1]), 3, axis=2)
        return apply(self.recipe, self.seed, "image", image)

    def apply_to_mask(self, mask: BoolArray) -> BoolArray:
        """Transform a mask (S, S) bool in the same way as the image."""
        from promise_seg.augmentation.monai_recipes import apply

        return apply(self.recipe, self.seed, "mask", mask[..., None].astype(np.uint8))[..., 0] > 0

    def apply_to_labels(self, labels: Uint16Array) -> Uint16Array:
        """Transform an instance map (S, S) like the image; the two bytes of each label are two channels."""
        from promise_seg.augmentation.monai_recipes import apply

        low_and_high = np.stack([labels & 255, labels >> 8], -1).astype(np.uint8)
        moved = apply(self.recipe, self.seed, "mask", low_and_high).astype(np.uint16)
        return (moved[..., 0] + 256 * moved[..., 1]).astype(np.uint16)


AnyView = View | RecipeView


@cache
def monai_version() -> str:
    """Return the installed version of MONAI without importing it, or ``not known``."""
    try:
        return metadata.version("monai")
    except metadata.PackageNotFoundError:
        return "not known"


def view_of(image_sha256: str, number: int, recipe: Recipe = Recipe.OWN) -> AnyView:
    """Return view ``number`` of the image with this hash; number 0 is the image itself."""
    if number == 0 or recipe == Recipe.NONE:
        return View()
    if recipe == Recipe.OWN:
        return draw_view(np.random.default_rng([number, int(image_sha256[:16], 16)]))
    seed = int.from_bytes(hashlib.sha256(f"{image_sha256}/{number}".encode()).digest()[:4])
    return RecipeView(recipe, VERSIONS[recipe], seed)


def draw_view(rng: np.random.Generator) -> View:
    """Draw a view: rotated, scaled, shifted, flipped, with other colours, sometimes blurred or noisy.

    Source: ProMISe, "Training"; here most changes are always applied, because each view is made only once.
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
