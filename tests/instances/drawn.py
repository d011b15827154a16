"""Models whose maps are drawn: what they propose is known."""

import cv2
import numpy as np
import torch

from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.features import Features
from tests.helpers import make_model

SURE = 8.0


def depth_of(labels: np.ndarray) -> np.ndarray:
    """How deep inside of its object each place is, 0 to 1."""
    depth = np.zeros(labels.shape, np.float32)
    for number in np.setdiff1d(labels, [0]):
        inside = cv2.distanceTransform(np.pad((labels == number).astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        depth += inside / inside.max()
    return depth


def discs(*places: tuple[int, int, int], side: int = 32) -> np.ndarray:
    """Discs (x, y, radius), numbered from 1; where two overlap, a straight seam lies between them."""
    y, x = np.mgrid[0:side, 0:side]
    distances = np.stack([np.hypot(x - column, y - row) - radius for column, row, radius in places])
    return np.where(distances.min(0) <= 0, distances.argmin(0) + 1, 0)


def drawn_model(sam, labels: np.ndarray, presence: float | None = None) -> PromiseModel:
    """A model whose APM sees these objects (r, r), whatever the image."""
    model = make_model(sam).eval()
    saliency = torch.from_numpy(np.where(labels > 0, SURE, -SURE).astype(np.float32))[None]
    depth = torch.from_numpy(depth_of(labels)).clamp(1e-4, 1 - 1e-4)[None]

    def propose(features: Features) -> Proposal:
        count = len(features)
        return Proposal(
            points_xy_model=torch.zeros(count, 1, 1, 2),
            point_labels=torch.ones(count, 1, 1, dtype=torch.long),
            saliency_logits=saliency.repeat(count, 1, 1),
            distance_logits=depth.logit().repeat(count, 1, 1),
            presence_logits=None if presence is None else torch.full((count,), presence),
        )

    model.apm.forward = propose
    return model
