"""Batches for pre-training: rotated, flipped and recoloured scenes, with some objects of each and prompts for them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from promise_seg.arrays import Uint8Array
from promise_seg.prompting.oracle import oracle_box, oracle_points
from promise_seg.scenes.library import SceneLibrary
from promise_seg.scenes.types import Scene

POINT_COUNTS = (1, 2, 4, 8, 16)
BOX_SHARE = 0.25


@dataclass(frozen=True)
class SceneBatch:
    """A batch of scenes with prompts for K objects of each; either the points or the boxes are ``None``.

    Shape: ``images`` (B, S, S, 3) uint8; ``instances`` (B, S, S); ``masks`` (B, K, S, S) float in {0, 1}; points
    (B, K, N, 2), labels (B, K, N) and boxes (B, K, 4) in the model frame."""

    images: Tensor
    instances: Tensor
    masks: Tensor
    points_xy_model: Tensor | None
    point_labels: Tensor | None
    boxes: Tensor | None

    def to(self, device: torch.device) -> "SceneBatch":
        """Move the batch to a device."""
        return replace(self, **{k: v.to(device) for k, v in vars(self).items() if v is not None})

    def masks_at(self, side: int) -> Tensor:
        """Return the masks at a lower resolution, (B, K, side, side): the share of foreground in each cell."""
        return F.interpolate(self.masks, size=(side, side), mode="area")

    def token_labels(self, tokens_per_side: int) -> Tensor:
        """Return the object at the centre of each token: (B, T)."""
        step = self.instances.shape[-1] // tokens_per_side
        return self.instances[:, step // 2 :: step, step // 2 :: step].flatten(1)


def _vary(image: Uint8Array, instances: Uint8Array, rng: np.random.Generator) -> tuple[Uint8Array, Uint8Array]:
    """Return an equally realistic view of a scene: rotated by multiples of 90 degrees, flipped, with channels swapped
    or inverted."""
    turns = int(rng.integers(4))
    image, instances = np.rot90(image, turns), np.rot90(instances, turns)
    if rng.random() < 0.5:
        image, instances = image[:, ::-1], instances[:, ::-1]
    if rng.random() < 0.7:
        image = image[..., rng.permutation(3)]
    if rng.random() < 0.2:
        image = 255 - image
    return image, instances


def _nearby_background(mask: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw background points in the enlarged box of the object, where they are hard; anywhere if there is none."""
    x0, y0, x1, y1 = oracle_box(mask).astype(int)
    margin = max(4, int(0.4 * max(x1 - x0, y1 - y0)))
    left, top = max(0, x0 - margin), max(0, y0 - margin)
    window = ~mask[top : y1 + 1 + margin, left : x1 + 1 + margin]
    if not window.any():
        return oracle_points(mask, count, rng, 0)[0]
    return oracle_points(window, count, rng, count)[0] + np.array([left, top], np.float32)


def training_points(mask: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw oracle points; for every third object on average, the background points are near it."""
    points, labels = oracle_points(mask, count, rng)
    background = int((labels == 0).sum())
    if background and rng.random() < 0.33:
        points[labels == 0] = _nearby_background(mask, rng, background)
    return points, labels


def draw_batch(
    library: SceneLibrary, rng: np.random.Generator, *, batch_size: int, objects: int, vary: bool = True
) -> SceneBatch:
    """Draw a batch with one kind of prompt for all its objects: points (1 to 16) or jittered boxes."""
    images, instances, masks = [], [], []
    for index in rng.integers(0, len(library), batch_size):
        image, ids = library[int(index)]
        if vary:
            image, ids = _vary(image, ids, rng)
        areas = np.bincount(ids.ravel())
        candidates = Scene(image, ids, "").object_ids() or [int(areas.argmax())]
        chosen = rng.permutation(np.resize(rng.permutation(candidates), objects))
        images.append(np.ascontiguousarray(image))
        instances.append(np.ascontiguousarray(ids))
        masks.append(ids[None] == chosen[:, None, None])
    size = images[0].shape[0]
    points = labels = boxes = None
    if rng.random() < BOX_SHARE:
        exact = np.stack([[oracle_box(m) for m in of_image] for of_image in masks])
        jitter = rng.normal(0, size / 100, exact.shape)
        boxes = torch.from_numpy(np.clip(exact + jitter, 0, size - 1).astype(np.float32))
    else:
        count = int(rng.choice(POINT_COUNTS))
        drawn = [[training_points(m, count, rng) for m in of_image] for of_image in masks]
        points = torch.from_numpy(np.stack([[p for p, _ in row] for row in drawn]))
        labels = torch.from_numpy(np.stack([[lab for _, lab in row] for row in drawn]))
    return SceneBatch(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(np.stack(instances)).long(),
        torch.from_numpy(np.stack(masks)).float(),
        points,
        labels,
        boxes,
    )
