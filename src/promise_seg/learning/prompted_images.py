"""Validation images with simulated prompts of every form, to measure which answers to prompts are best."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import BoolArray
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, counted
from promise_seg.prompting.oracle import boxes_around, points_in_masks
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskKind, PromptForm

_MOST_OBJECTS = 8  # per image
_POINTS = {
    PromptForm.POINT: (1, 1, 1), PromptForm.POINTS: (2, 4), PromptForm.MANY_POINTS: (8, 16), PromptForm.BOX: (0,),
    PromptForm.BOX_AND_POINTS: (1,),
}  # fmt: skip
"""The number of points in each of several draws, for each form."""


class PromptedImage(NamedTuple):
    """An image with its features, its objects as masks (H, W), and prompts with a set for each object."""

    sample: Sample
    features: Features
    objects: list[BoolArray]
    prompts: list[tuple[PromptForm, Prompts]]


def prompted_images(
    model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None, progress: Progress, what: str
) -> Iterator[PromptedImage]:
    """Yield the images of rows with prompts that are the same in every call; images without an object are left out.

    In an image with instances, some objects are prompted, each separately.

    Args:
        model: the model that is prompted; it is put into evaluation mode.
        rows: validation rows that the model was not trained on.
        store: the feature store.
        progress: called for each image.
        what: the name of the work, for the progress.
    """
    model.eval()
    for row in counted([row for row in rows if row.foreground_pixels], progress, what):
        sample = Sample.of(row, model.sam, model.config.fit)
        features = model_features([sample], model, store)
        rng = np.random.default_rng(int(row.pixels_sha256[:16], 16))
        objects = _objects(sample, rng)
        yield PromptedImage(sample, features, objects, list(_prompts(sample, objects, rng)))


def _objects(sample: Sample, rng: np.random.Generator) -> list[BoolArray]:
    """Return the masks (H, W) of the objects to prompt for."""
    if sample.checked.reading.masks != MaskKind.INSTANCES:
        return [sample.checked.mask()]
    labels = sample.checked.labels()  # a mask for each of many objects would not fit into memory
    objects = [number for number in np.setdiff1d(labels, [0]) if sample.to_frame(labels == number).any()]
    return [labels == objects[number] for number in rng.permutation(len(objects))[:_MOST_OBJECTS]]


def _prompts(
    sample: Sample, objects: Sequence[BoolArray], rng: np.random.Generator
) -> Iterator[tuple[PromptForm, Prompts]]:
    """Yield sets of prompts, one for each object, in every form."""
    masks = [sample.to_prompt(mask) for mask in objects]
    if not masks:
        return
    boxes = boxes_around(masks)[None]
    for form, counts in _POINTS.items():
        has_box = form in (PromptForm.BOX, PromptForm.BOX_AND_POINTS)
        for count in counts:
            parts = {"boxes_xyxy_model": boxes} if has_box else {}
            if count:
                points, labels = points_in_masks(masks, count, [rng] * len(masks))
                parts |= {"points_xy_model": points[None], "point_labels": labels[None]}
            yield form, Prompts(**parts)
