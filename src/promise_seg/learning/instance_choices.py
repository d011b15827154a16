"""Choose on validation rows how a model separates the objects of an image and outlines them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

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
from promise_seg.learning.records import read_record
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, Stage, silent
from promise_seg.quantities import count_in_words
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.sam.features import Features
from promise_seg.storage.sealed import write_sealed

OBJECT_SCORES_FILE = "val_objects.json"
PROMINENCES = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3)
OBJECT_SHARES = (0.0, 0.5, 0.75, 0.9)
LEAST_SCORES = (0.6, 0.7, 0.8)
_MOST_ROWS = 40


class _Image(NamedTuple):
    features: Features
    geometry: Geometry
    truth: LabelArray


class _Scores(NamedTuple):
    """The F1 of the objects of one image: the mean over IoU thresholds of 0.5 ... 0.95, and at an IoU of 0.5."""

    f1: float
    f1_50: float


class ObjectScores(BaseModel):
    """The scores on validation rows by which a rule for separate objects was chosen, as means over the rows.

    Args:
        object_f1: F1 of the objects, averaged over IoU thresholds of 0.5 ... 0.95; the rule has the highest one.
        object_f1_50: F1 of the objects at an IoU of 0.5.
        rows: the number of rows; at most 40 are used.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    object_f1: float = Field(ge=0, le=1)
    object_f1_50: float = Field(ge=0, le=1)
    rows: int = Field(ge=1)

    @property
    def words(self) -> str:
        """The scores in one line."""
        return (
            f"val object F1 {self.object_f1_50:.4f} at an IoU of 0.5, on {count_in_words(self.rows, 'row')}; the rule "
            f"that separates objects was chosen by the mean F1 over IoU thresholds of 0.5 to 0.95, {self.object_f1:.4f}"
        )

    def write(self, folder: Path) -> None:
        """Write the scores into the folder of a run.

        Raises:
            PromiseError: if the file cannot be written.
        """
        write_sealed(folder / OBJECT_SCORES_FILE, self.model_dump(mode="json"))


def read_object_scores(folder: Path) -> ObjectScores | None:
    """Read the scores from the folder of a run; ``None`` if it has none, as runs of earlier versions.

    Raises:
        CheckpointError: if the file is damaged.
    """
    return read_record(folder / OBJECT_SCORES_FILE, ObjectScores)


class ChosenRule(NamedTuple):
    """The rule that was chosen, and its scores."""

    rule: InstanceRule
    scores: ObjectScores


def choose_instance_rule(
    model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None, progress: Progress = silent
) -> InstanceRule | None:
    """Return the rule with the best F1; see :func:`choose_and_score`."""
    chosen = choose_and_score(model, rows, store, progress)
    return None if chosen is None else chosen.rule


@torch.no_grad()
def choose_and_score(
    model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None, progress: Progress = silent
) -> ChosenRule | None:
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
    best, best_scores = InstanceRule(prominence=PROMINENCES[0]), _Scores(-1.0, -1.0)
    for name, values in (("prominence", PROMINENCES), ("map_share", OBJECT_SHARES), ("least_score", LEAST_SCORES)):
        rules = [best.model_copy(update={name: value}) for value in values]
        scores = [_f1_of_rules(model, image, rules, tick) for image in _images(model, rows, store)]
        for rule, of_images in zip(rules, zip(*scores, strict=True), strict=True):
            means = _Scores(*np.mean(of_images, axis=0).tolist())
            if means.f1 > best_scores.f1:
                best, best_scores = rule, means
    return ChosenRule(best, ObjectScores(object_f1=best_scores.f1, object_f1_50=best_scores.f1_50, rows=len(rows)))


def _images(model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None) -> Iterator[_Image]:
    for row in rows:
        sample = Sample.of(row, model.sam, model.config.fit)
        yield _Image(model_features([sample], model, store), sample.geometry, row.labels())


def _f1_of_rules(
    model: PromiseModel, image: _Image, rules: Sequence[InstanceRule], tick: Callable[[], None]
) -> list[_Scores]:
    """Return the F1 of one image by each rule; rules that differ only in painting share their outlines."""
    scores, drawn, objects = list[_Scores](), None, list[ObjectMask]()
    for rule in rules:
        if (outlines := rule.model_copy(update={"least_score": 0.0})) != drawn:
            proposals = propose_objects(model, image.features, rule, image.geometry)
            objects = list(outline_objects(model, image.features, proposals, image.geometry, rule))
            drawn = outlines
        painted = paint(objects, image.geometry.height, image.geometry.width, rule.least_score)
        matched = score_instance_maps(painted.labels, image.truth)
        scores.append(_Scores(matched.mean_f1, matched.f1_at(0.5)))
        tick()
    return scores
