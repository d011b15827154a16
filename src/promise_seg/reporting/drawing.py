"""Draw the prediction of a model on an image."""

import numpy as np

from promise_seg.arrays import Uint8Array
from promise_seg.assessment.evaluation import Assessment
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.rows import decode_rows
from promise_seg.model import PromiseModel
from promise_seg.prediction.overlay import draw_overlay


def draw_prediction(
    model: PromiseModel,
    row: CheckedRow,
    assessment: Assessment,
    store: FeatureStore | None = None,
    joined: Uint8Array | None = None,
) -> Uint8Array:
    """Return an image (H, W, 3) overlaid with the model's post-processed mask and its prompts.

    If ``joined`` is given, the packed mask of a slice after its volume was combined, it replaces the slice's own mask.
    If each object is prompted separately, the prompts are left out, because they would hide the image.
    """
    decoded = next(decode_rows(model, [row], assessment, store))
    if joined is None:
        probs = decoded.masks.probs(assessment.choice_for(model))
        mask = model.config.postprocessing.mask(probs, decoded.tile_side)
    else:
        mask = np.unpackbits(joined, count=row.height * row.width).reshape(row.height, row.width).view(bool)
    prompts = decoded.prompts
    if (
        assessment.prompts_objects(row)
        or prompts is None
        or prompts.points_xy_model is None
        or prompts.point_labels is None
    ):
        return draw_overlay(row.image(), mask)
    geometry = decoded.sample.geometry
    points_xy_image = geometry.points_to_image(prompts.points_xy_model[0].flatten(0, 1).cpu().numpy())
    boxes = None
    if prompts.boxes_xyxy_model is not None:
        boxes = geometry.box_to_image(prompts.boxes_xyxy_model[0].cpu().numpy())
    return draw_overlay(row.image(), mask, points_xy_image, prompts.point_labels[0].flatten().cpu().numpy(), boxes)
