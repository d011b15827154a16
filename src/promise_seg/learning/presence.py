"""Choose on validation rows below which presence an image is said to hold nothing."""

from collections.abc import Sequence

import numpy as np
import torch

from promise_seg.assessment.thresholds import best_threshold
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, features_for
from promise_seg.model import PromiseModel

USUAL_THRESHOLD = 0.5


@torch.no_grad()
def presence_threshold(model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None) -> float | None:
    """Return the threshold of the highest balanced accuracy on rows; ``None`` if the model knows no presence.

    Where all rows hold an object, or none does, it is :data:`USUAL_THRESHOLD`.
    """
    model.eval()
    found = []
    for row in rows:
        if model.apm is None:
            return None
        presence = model.propose(
            features_for([Sample.of(row, model.sam, model.config.fit)], model, store)
        ).presence_logits
        if presence is None:
            return None
        found.append(float(presence.sigmoid()))
    has_object = np.array([row.foreground_pixels > 0 for row in rows])
    if has_object.all() or not has_object.any():
        return USUAL_THRESHOLD
    return best_threshold(np.array(found), has_object)
