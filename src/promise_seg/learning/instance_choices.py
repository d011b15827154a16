"""Choose on validation rows how a model tells the objects of an image apart and outlines them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from promise_seg.arrays import LabelArray
from promise_seg.assessment.objects import score_instance_maps
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.images.geometry import Geometry
from promise_seg.inference.encoding import Sample, features_for
from promise_seg.instance_rule import InstanceRule
from promise_seg.instances.outlining import Outlined, outline_objects
from promise_seg.instances.painting import paint
from promise_seg.instances.proposing import propose_objects
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, Stage, silent
from promise_seg.sam.features import Features

PROMINENCES = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3)
SHARES = (0.0, 0.5, 0.75, 0.9)
LEAST_SCORES = (0.6, 0.7, 0.8)
_MOST_ROWS = 40


_Objects = list[Outlined]


class _Image(NamedTuple):
    features: Features
    geometry: Geometry
    truth: LabelArray


@torch.no_grad()
def choose_instance_rule(
    model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None, progress: Progress = silent
) -> InstanceRule | None:
    """Return the rule with the best F1, the mean over IoU of 0.5 ... 0.95 and over some rows.

    ``None`` if the APM of the model makes no map, which objects are told apart by.

    One choice after the other: how far peaks rise, by the maps alone; the share of SAM's masks; the least score.

    Args:
        model: it is put into evaluation mode.
        rows: with instance maps, that it was not trained on; of many, some are taken, evenly.
        store: of features.
        progress: told of each rule that is tried.
    """
    if model.apm is None or not model.apm.makes_map:
        return None
    model.eval()
    images = list(_images(model, rows[:: max(1, -(-len(rows) // _MOST_ROWS))], store))
    tick = Stage(progress, "choosing how objects are told apart", len(PROMINENCES) + len(SHARES) + len(LEAST_SCORES))
    best, best_f1, kept = InstanceRule(prominence=PROMINENCES[0]), -1.0, list[_Objects]()
    for name, values in (("prominence", PROMINENCES), ("map_share", SHARES)):
        start = best
        for value in values:
            rule = start.model_copy(update={name: value})
            found = [_objects_of(model, one, rule) for one in images]
            if (f1 := _mean_f1(images, found, rule)) > best_f1:
                best, best_f1, kept = rule, f1, found
            tick()
    for rule in [best.model_copy(update={"least_score": value}) for value in LEAST_SCORES]:
        if (f1 := _mean_f1(images, kept, rule)) > best_f1:
            best, best_f1 = rule, f1
        tick()
    return best


def _images(model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None) -> Iterator[_Image]:
    for row in rows:
        sample = Sample.of(row, model.sam, model.config.fit)
        yield _Image(features_for([sample], model, store), sample.geometry, row.labels())


def _objects_of(model: PromiseModel, image: _Image, rule: InstanceRule) -> _Objects:
    proposals = propose_objects(model, image.features, rule, image.geometry)
    return list(outline_objects(model, image.features, proposals, image.geometry, rule))


def _mean_f1(images: Sequence[_Image], found: Sequence[_Objects], rule: InstanceRule) -> float:
    """Return the mean F1 of the objects of each image, painted by a rule."""
    scores = [
        score_instance_maps(
            paint(objects, one.geometry.height, one.geometry.width, rule.least_score).labels, one.truth
        ).mean_f1
        for one, objects in zip(images, found, strict=True)
    ]
    return float(np.mean(scores))
