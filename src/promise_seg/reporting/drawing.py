"""Pictures of what a model made of an image."""

import numpy as np
import numpy.typing as npt
import torch

from promise_seg.assessment.evaluation import Assessment, DecodedRow, decode_rows, make_prompts
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.encoding import Sample, features_of
from promise_seg.features.store import FeatureStore
from promise_seg.model import PromiseModel
from promise_seg.prediction.overlay import draw_overlay

Uint8Array = npt.NDArray[np.uint8]


@torch.no_grad()
def draw_prediction(
    model: PromiseModel, row: CheckedRow, assessment: Assessment, store: FeatureStore | None = None
) -> Uint8Array:
    """One image (H, W, 3) with the mask that a model makes of it, post-processed, and the points that it came from.

    Where each object is prompted for itself the points are left out: they would hide the picture.
    """
    choice = assessment.choice_for(model)
    if assessment.prompts_objects(row):
        decoded = next(decode_rows(model, [row], assessment, store))
        return draw_overlay(row.image(), model.config.postprocessing.mask(decoded.probs(choice)))
    sample = Sample.of(row, model.sam, model.config.fit)
    features = features_of([sample], model.sam, store).to(model.device)
    prompts = make_prompts(model, features, [sample], assessment)
    found = model.decode(features, prompts)
    decoded = DecodedRow(sample, found.mask_logits[0], found.iou[0])
    mask = model.config.postprocessing.mask(decoded.probs(choice))
    if prompts.points_xy is None or prompts.point_labels is None:
        return draw_overlay(row.image(), mask)
    points_xy = sample.geometry.points_to_image(prompts.points_xy[0, 0].cpu().numpy())
    return draw_overlay(row.image(), mask, points_xy, prompts.point_labels[0, 0].cpu().numpy())
