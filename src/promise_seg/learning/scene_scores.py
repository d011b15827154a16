"""Score a SAM on drawn scenes with oracle prompts."""

import numpy as np
import torch

from promise_seg.assessment.metrics import score_mask
from promise_seg.images.geometry import Geometry
from promise_seg.inference.masks import probs_in_image
from promise_seg.model import choose_mask
from promise_seg.prompting.oracle import boxes_around, points_in_masks
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.prompts import Prompts
from promise_seg.scenes.library import SceneLibrary
from promise_seg.scenes.types import Scene
from promise_seg.vocabulary import MaskChoice


@torch.no_grad()
def score_on_scenes(sam: Backbone, library: SceneLibrary, *, seed: int = 0, batch_size: int = 16) -> dict[str, float]:
    """Return the mean Dice of SAM's best-scored mask with 1 point, 16 points (8 background) and a box.

    One random object of each scene is scored, covering 0.1 to 60 % of it; objects and prompts depend only on ``seed``.
    """
    size = sam.image_size
    dice: dict[str, list[float]] = {"1 point": [], "16 points": [], "box": []}
    for start in range(0, len(library), batch_size):
        indices = range(start, min(start + batch_size, len(library)))
        images, masks = [], []
        for index in indices:
            image, instances = library[index]
            ids = Scene(image, instances, "").object_ids()
            rng = np.random.default_rng([seed, index])
            images.append(image)
            masks.append(instances == rng.choice(ids))
        features = sam.encode(torch.from_numpy(np.stack(images)))
        for name in dice:
            rngs = [np.random.default_rng([seed, index, 1]) for index in indices]
            prompts = _prompts(name, masks, rngs).to(sam.device)
            mask_logits = choose_mask(sam.decode(features, prompts), MaskChoice.SCORE).mask_logits[:, 0]
            full = probs_in_image(mask_logits, Geometry(size, size, size))
            dice[name] += [score_mask(probs, mask).dice for probs, mask in zip(full, masks, strict=True)]
    return {name: round(float(np.mean(values)), 4) for name, values in dice.items()}


def _prompts(name: str, masks: list[np.ndarray], rngs: list[np.random.Generator]) -> Prompts:
    if name == "box":
        return Prompts(boxes_xyxy_model=boxes_around(masks)[:, None])
    points, labels = points_in_masks(masks, int(name.split()[0]), rngs)
    return Prompts(points_xy_model=points[:, None], point_labels=labels[:, None])
