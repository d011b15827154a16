"""Choose on validation rows below which presence an image is said to hold nothing."""

from collections.abc import Sequence

import numpy as np
import torch

from promise_seg.assessment.thresholds import best_threshold, is_worthwhile, sensitivity_plus_specificity
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.model import PromiseModel, presence_of

USUAL_THRESHOLD = 0.5


@torch.no_grad()
def presence_threshold(model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None) -> float | None:
    """Return the threshold of the highest balanced accuracy on rows; ``None`` if the model knows no presence.

    Where all rows hold an object, or none does, it is :data:`USUAL_THRESHOLD` of a presence that was learned. The
    object score of a SAM, which never saw such images, is used only where it was measured to be better than a guess.
    """
    model.eval()
    if model.apm is None:
        return None
    found, was_learned = [], False
    for row in rows:
        features = model_features([Sample.of(row, model.sam, model.config.fit)], model, store)
        proposal = model.propose(features)
        was_learned = proposal.presence_logits is not None
        presence = (
            proposal.presence_logits if was_learned else presence_of(proposal, model.sam_masks(features, proposal))
        )
        if presence is None:
            return None
        found.append(float(presence.sigmoid()))
    has_object = np.array([row.foreground_pixels > 0 for row in rows])
    if has_object.all() or not has_object.any():
        return USUAL_THRESHOLD if was_learned else None
    threshold = best_threshold(np.array(found), has_object)
    gain = sensitivity_plus_specificity(np.array(found) < threshold, has_object) - 1  # over a guess
    return threshold if was_learned or is_worthwhile(gain, has_object) else None
