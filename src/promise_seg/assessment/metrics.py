"""Overlap scores of a mask against the ground truth, with rules for empty masks."""

from dataclasses import dataclass, fields

import numpy as np

from promise_seg.arrays import BoolArray, Float32Array


@dataclass(frozen=True)
class Scores:
    """Overlap scores in [0, 1]; all except ``mae`` are better when higher.

    Rules for ratios of 0 / 0: if both masks are empty, all ratios are 1; precision is 0 if only the prediction is
    empty; recall is 1 if only the ground truth is empty.
    """

    dice: float
    iou: float
    mae: float
    precision: float
    recall: float

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the scores, in the order of files and tables."""
        return tuple(f.name for f in fields(Scores))


def score_mask(mask_probs: Float32Array, truth: BoolArray, predicted: BoolArray | None = None) -> Scores:
    """Score a mask; the mean absolute error uses the raw probabilities.

    ``predicted`` is the mask made from the probabilities; by default the pixels above 0.5.

    Shape: all (H, W), in the image frame.
    Raises: ValueError if the shapes differ.
    """
    if mask_probs.shape != truth.shape:
        raise ValueError(f"prediction is {mask_probs.shape}, truth is {truth.shape}")
    predicted = mask_probs > 0.5 if predicted is None else predicted
    hits = int(np.count_nonzero(predicted & truth))
    found, there = int(np.count_nonzero(predicted)), int(np.count_nonzero(truth))
    return Scores(mae=float(np.abs(mask_probs - truth).mean()), **overlap_scores(hits, found, there))


def overlap_scores(hits: int, found: int, there: int) -> dict[str, float]:
    """Return Dice, IoU, precision and recall by name, with the rules of :class:`Scores`.

    Args:
        hits: the number of pixels or voxels in both masks.
        found: the number in the predicted mask.
        there: the number in the ground truth.
    """
    union = found + there - hits
    if union == 0:
        return {"dice": 1.0, "iou": 1.0, "precision": 1.0, "recall": 1.0}
    return {
        "dice": 2 * hits / (found + there),
        "iou": hits / union,
        "precision": hits / found if found else 0.0,
        "recall": hits / there if there else 1.0,
    }


def mean_scores(scores: list[Scores]) -> Scores:
    """Return the mean of the scores over images, weighted equally."""
    return Scores(**{name: float(np.mean([getattr(s, name) for s in scores])) for name in Scores.names()})
