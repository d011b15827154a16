"""The objects that a model proposes for a slice: the prompts, the mask and the score of each."""

from collections.abc import Iterator

import numpy as np
import torch

from promise_seg.annotator.bits import Box, MaskBits
from promise_seg.annotator.objects import Answer, Point, Prompts
from promise_seg.images.geometry import Geometry
from promise_seg.instances.finding import find_instances
from promise_seg.instances.outlining import ObjectMask
from promise_seg.prediction.encoded_image import EncodedImage
from promise_seg.prediction.prediction import Prediction
from promise_seg.prediction.predictor import Predictor
from promise_seg.prediction.user_prompts import clipped_box, clipped_points, has_shares
from promise_seg.prompting.apm import NOT_ASKED_FOR, Proposal
from promise_seg.sam.prompts import FOREGROUND


def proposals_of(model: Predictor, encoded: EncodedImage, number: int | None) -> Iterator[tuple[Prompts, Answer]]:
    """Yield the prompts and the mask of each object that a model proposes; empty masks are left out.

    A model that separates objects proposes the objects of
    :meth:`~promise_seg.prediction.predictor.Predictor.predict_instances`, as does one that has no prompts for some of
    the objects of this slice, as there are too many. Any other model proposes a mask for each of its sets of prompts.

    Args:
        model: a model with an auto-prompting module.
        encoded: the slice, encoded for this model.
        number: the number of the model in the project.
    """
    own = _own_prompts(model, encoded)
    if _has_many_objects(model, own):
        for found in find_instances(model.model, encoded.features, encoded.geometry, own=own).objects:
            answer = _answer_with(found, number)
            yield _prompts_around(found, answer.mask.box, encoded.geometry), answer
        return
    for one in model.predict_objects(encoded, own):
        if one.mask.any():
            yield _prompts_of(one, encoded.geometry), answer_of(one, number)


def answer_of(one: Prediction, number: int | None) -> Answer:
    """Return the answer that a prediction of a model is; ``number`` is the number of the model in the project."""
    scores: tuple[float, ...] = ()
    chosen = None
    if one.candidates is not None:
        scores = tuple(float(score) for score in one.candidates.predicted_iou)
        chosen = one.candidates.chosen
    return Answer(MaskBits.of(one.mask), scores, chosen, float(one.predicted_iou), number)


@torch.no_grad()
def _own_prompts(model: Predictor, encoded: EncodedImage) -> Proposal:
    """Return what the auto-prompting module of a model proposes for a slice.

    Raises:
        SettingsError: if the model has no APM.
    """
    model.check_proposes()
    encoded.check_fits(model.model)
    return model.model.propose(encoded.features)


def _has_many_objects(model: Predictor, own: Proposal) -> bool:
    """Whether a model separates objects that touch, or has no prompts for some of the objects of this slice."""
    apm = model.model.apm
    if apm is None or not apm.makes_map:
        return False
    return apm.separates or (own.regions is not None and bool((own.regions == NOT_ASKED_FOR).any()))


def _prompts_around(one: ObjectMask, around: Box, geometry: Geometry) -> Prompts:
    """Return the point of an object, and a box if it has an area.

    Args:
        one: the object.
        around: left, top, width and height of the box around its mask, in pixels of the image.
        geometry: the geometry of the image.
    """
    left, top, width, height = around
    ((x, y),) = clipped_points(np.array([one.point_xy], np.float32), geometry).tolist()
    box = (float(left), float(top), float(left + width - 1), float(top + height - 1))
    return Prompts((Point(x, y, FOREGROUND),), box if width > 1 and height > 1 else None)


def _answer_with(one: ObjectMask, number: int | None) -> Answer:
    """Return the answer with the mask of an object, which has no candidates."""
    score = one.score if one.predicted_iou is None else one.predicted_iou
    return Answer(MaskBits.of(one.mask, one.left, one.top), score=float(score), model=number)


def _prompts_of(one: Prediction, geometry: Geometry) -> Prompts:
    """Return the prompts of a prediction; prompts outside of the image are moved to its edge."""
    inside = clipped_points(one.points_xy, geometry)
    pairs = zip(inside.tolist(), one.point_labels.tolist(), strict=True)
    points = tuple(Point(float(x), float(y), int(label)) for (x, y), label in pairs)
    box = None if one.box_xyxy is None else clipped_box(one.box_xyxy, geometry)
    if box is None or has_shares(box):  # a box inside of the corner's pixel would not be taken back
        return Prompts(points, None)
    return Prompts(points, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
