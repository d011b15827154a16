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
from promise_seg.instances.finding import find_instances
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, Stage, silent
from promise_seg.sam.features import Features

PROMINENCES = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3)
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)
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
    tries = len(PROMINENCES) + len(SHARES) + len(LEAST_SCORES)
    tick = Stage(progress, "choosing how objects are told apart", tries)
    best, best_f1 = InstanceRule(prominence=PROMINENCES[0]), -1.0
    for name, values in (("prominence", PROMINENCES), ("map_share", SHARES), ("least_score", LEAST_SCORES)):
        start = best
        for value in values:
            rule = start.model_copy(update={name: value})
            f1 = _mean_f1(model, images, rule)
            if f1 > best_f1:
                best, best_f1 = rule, f1
            tick()
    return best


def _images(model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None) -> Iterator[_Image]:
    for row in rows:
        sample = Sample.of(row, model.sam, model.config.fit)
        yield _Image(features_for([sample], model, store), sample.geometry, row.labels())


def _mean_f1(model: PromiseModel, images: Sequence[_Image], rule: InstanceRule) -> float:
    found = [
        score_instance_maps(find_instances(model, one.features, one.geometry, rule).labels, one.truth) for one in images
    ]
    return float(np.mean([one.mean_f1 for one in found]))
