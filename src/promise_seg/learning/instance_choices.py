"""Choose on validation rows how a model separates the objects of an image and outlines them."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from promise_seg.arrays import LabelArray
from promise_seg.assessment.objects import score_instance_maps
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.images.geometry import Geometry
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.instances.outlining import ObjectMask, outline_objects
from promise_seg.instances.painting import paint
from promise_seg.instances.proposing import propose_objects
from promise_seg.learning.object_sizes import spread
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, Stage, silent
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.sam.features import Features

PROMINENCES = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3)
OBJECT_SHARES = (0.0, 0.5, 0.75, 0.9)
LEAST_SCORES = (0.6, 0.7, 0.8)
_MOST_ROWS = 40


class _Image(NamedTuple):
    features: Features
    geometry: Geometry
    truth: LabelArray


@torch.no_grad()
def choose_instance_rule(
    model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None, progress: Progress = silent
) -> InstanceRule | None:
    """Return the rule with the best F1, averaged over IoU thresholds of 0.5 ... 0.95 and over some rows.

    ``None`` if the APM of the model makes no map, which is needed to separate objects.

    The choices are made one after the other: the prominence of peaks, by the maps alone; the share of the map in the
    masks; the least score. Each takes one pass over the images, with one image in memory at a time.

    Args:
        model: the model; it is put into evaluation mode.
        rows: validation rows with instance maps; if there are many, an evenly spread selection is used.
        store: the feature store.
        progress: called for each rule that is tried on an image.
    """
    if model.apm is None or not model.apm.makes_map:
        return None
    model.eval()
    rows = spread(rows, _MOST_ROWS)
    tries = len(PROMINENCES) + len(OBJECT_SHARES) + len(LEAST_SCORES)
    tick = Stage(progress, "choosing how objects are separated", tries * len(rows))
    best, best_f1 = InstanceRule(prominence=PROMINENCES[0]), -1.0
    for name, values in (("prominence", PROMINENCES), ("map_share", OBJECT_SHARES), ("least_score", LEAST_SCORES)):
        rules = [best.model_copy(update={name: value}) for value in values]
        scores = [_f1_of_rules(model, image, rules, tick) for image in _images(model, rows, store)]
        for rule, of_images in zip(rules, zip(*scores, strict=True), strict=True):
            if (f1 := float(np.mean(of_images))) > best_f1:
                best, best_f1 = rule, f1
    return best


def _images(model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None) -> Iterator[_Image]:
    for row in rows:
        sample = Sample.of(row, model.sam, model.config.fit)
        yield _Image(model_features([sample], model, store), sample.geometry, row.labels())


def _f1_of_rules(
    model: PromiseModel, image: _Image, rules: Sequence[InstanceRule], tick: Callable[[], None]
) -> list[float]:
    """Return the F1 of one image by each rule; rules that differ only in painting share their outlines."""
    scores, drawn, objects = list[float](), None, list[ObjectMask]()
    for rule in rules:
        if (outlines := rule.model_copy(update={"least_score": 0.0})) != drawn:
            proposals = propose_objects(model, image.features, rule, image.geometry)
            objects = list(outline_objects(model, image.features, proposals, image.geometry, rule))
            drawn = outlines
        painted = paint(objects, image.geometry.height, image.geometry.width, rule.least_score)
        scores.append(score_instance_maps(painted.labels, image.truth).mean_f1)
        tick()
    return scores
