"""Choose on validation rows the presence threshold below which an image is considered empty."""

from collections.abc import Sequence

import numpy as np
import torch

from promise_seg.arrays import BoolArray, Float64Array
from promise_seg.assessment.overlaps import Overlap, ScoredRows
from promise_seg.assessment.thresholds import is_worthwhile, sensitivity_plus_specificity
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.inference.masks import decode_one
from promise_seg.model import PromiseModel, presence_of
from promise_seg.progress import Progress, counted, silent

USUAL_THRESHOLD = 0.5
_MOST_TRIED = 200
_ENOUGH = 0.8  # share of the gain in Dice: a false mask is easily deleted, a missed object may never be noticed


@torch.no_grad()
def presence_threshold(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    store: FeatureStore | None,
    progress: Progress = silent,
    *,
    as_volumes: bool = False,
) -> float | None:
    """Return the threshold with the best mean Dice of own prompts; ``None`` if the model estimates no presence.

    If all rows hold an object, or none does, it is :data:`USUAL_THRESHOLD` for a learned presence. The object score of
    a SAM, which was never trained on such images, is used only if it was measured to be better than chance.

    Args:
        model: the model, with all other choices made; it is put into evaluation mode.
        rows: validation rows that the model was not trained on.
        store: the feature store.
        progress: called for each image.
        as_volumes: whether slices of a volume are scored as one mask in 3-D.
    """
    model.eval()
    if model.apm is None:
        return None
    has_object = np.array([row.foreground_pixels > 0 for row in rows])
    is_mixed = bool(has_object.any() and not has_object.all())
    found, overlaps, was_learned = [], list[Overlap](), False
    config = model.config
    try:
        model.config = config.model_copy(update={"presence_threshold": None})
        for row in counted(rows if is_mixed else rows[:1], progress, "finding when there is nothing"):
            sample = Sample.of(row, model.sam, config.fit)
            features = model_features([sample], model, store)
            proposal = model.propose(features)
            was_learned = proposal.presence_logits is not None
            presence = (
                proposal.presence_logits if was_learned else presence_of(proposal, model.sam_masks(features, proposal))
            )
            if presence is None:
                return None
            found.append(float(presence.sigmoid()))
            masks = decode_one(model, features, proposal, sample.geometry)
            overlaps.append(Overlap.of(masks.probs(config.mask_choice) > 0.5, row.mask()))
    finally:
        model.config = config
    if not is_mixed:
        return USUAL_THRESHOLD if was_learned else None
    presences = np.array(found)
    threshold = best_presence(presences, overlaps, ScoredRows(rows, as_volumes=as_volumes))
    gain = sensitivity_plus_specificity(presences < threshold, has_object) - 1  # over chance
    return threshold if was_learned or is_worthwhile(gain, has_object) else None


def best_presence(presences: Float64Array, overlaps: Sequence[Overlap], scored: ScoredRows) -> float:
    """Return the lowest threshold with most of the possible gain in Dice; masks with a lower presence are emptied.

    Args:
        presences: the presences of the rows: (n,).
        overlaps: the overlaps of their masks with the ground truth, before any is emptied.
        scored: how the rows are scored.

    Returns:
        The threshold; 0, which empties no mask, if emptying masks gains nothing.
    """
    ordered = np.unique(presences)
    tried = np.concatenate([[0.0], (ordered[:-1] + ordered[1:]) / 2])
    if len(tried) > _MOST_TRIED:
        tried = tried[np.linspace(0, len(tried) - 1, _MOST_TRIED).round().astype(int)]
    dice = np.array([scored.mean_dice(_emptied(overlaps, presences < one)) for one in tried.tolist()])
    enough = dice[0] + _ENOUGH * (dice.max() - dice[0])
    return float(tried[int(np.argmax(dice >= enough))])


def _emptied(overlaps: Sequence[Overlap], absent: BoolArray) -> list[Overlap]:
    return [Overlap(0, 0, one.there) if is_absent else one for one, is_absent in zip(overlaps, absent, strict=True)]
