"""Choose the post-processing of masks on validation rows, or none if none helps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.metrics import score_mask
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.rows import decode_rows
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, Stage, silent
from promise_seg.rules.postprocessing import NO_POST, PostProcessing

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
KERNELS = (0, 3, 5, 9)
LEAST_GAIN = 0.001
"""The minimum gain in mean Dice; smaller differences are noise, so the simplest candidate is preferred."""


def candidates() -> list[PostProcessing]:
    """Return all candidates, the simplest first."""
    found = [
        PostProcessing(threshold=threshold, opening=opening, closing=closing, fill_holes=holes, keep=keep)
        for threshold, opening, closing, holes, keep in product(
            THRESHOLDS, KERNELS, KERNELS, (False, True), ("all", "largest")
        )
    ]
    return sorted(found, key=lambda post: (_changes(post), abs(post.threshold - NO_POST.threshold)))


def _changes(post: PostProcessing) -> int:
    return sum(getattr(post, name) != getattr(NO_POST, name) for name in type(post).model_fields)


@dataclass(frozen=True)
class Tuned:
    """The chosen post-processing, and the mean validation Dice with it, without any, and of the best candidate."""

    chosen: PostProcessing
    dice: float
    dice_without: float
    best_dice: float


def tune(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    assessment: Assessment,
    store: FeatureStore | None = None,
    progress: Progress = silent,
) -> Tuned:
    """Score every candidate on validation rows, and choose the simplest within :data:`LEAST_GAIN` of the best.

    Args:
        model: the model to tune; it is not changed.
        rows: validation rows, never test rows.
        assessment: how to score, and with which prompts.
        store: the feature store.
        progress: called for each image.
    """
    tried = candidates()
    choice = assessment.choice_for(model)
    sums = np.zeros(len(tried))
    count = Stage(progress, "tuning", len(rows), f"{len(tried)} ways")
    for decoded in decode_rows(model, rows, assessment, store):
        mask_probs, truth = decoded.masks.probs(choice), decoded.sample.checked.mask()
        sums += [score_mask(mask_probs, truth, post.mask(mask_probs, decoded.tile_side)).dice for post in tried]
        count()
    dice = sums / len(rows)
    good = int(np.flatnonzero(dice >= dice.max() - LEAST_GAIN)[0])
    return Tuned(tried[good], float(dice[good]), float(dice[tried.index(NO_POST)]), float(dice.max()))
