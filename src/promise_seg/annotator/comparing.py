"""Score a model's proposals on the held-out images, to decide by the mean Dice which of two models is used."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from promise_seg.annotator.segmenter import models_of
from promise_seg.arrays import BoolArray, Float64Array
from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.dataset.dataset import Dataset
from promise_seg.features.store import FeatureStore
from promise_seg.progress import Progress, renamed, silent
from promise_seg.vocabulary import PromptSource
from promise_seg.workflows.models import AnyModel


def held_out_dice(
    model: AnyModel,
    rows: Dataset,
    labels: Sequence[int],
    store: FeatureStore | None = None,
    progress: Progress = silent,
    stage: str = "comparing",
) -> Float64Array:
    """Return the Dice of a model's own proposals for each class and held-out row, (classes, rows), 0 to 1.

    For a class in which the model makes no proposals, as with a bare SAM, empty masks are scored.

    Args:
        model: the model to score.
        rows: the held-out images.
        labels: the labels of the project's classes.
        store: the store of features.
        progress: called for each image.
        stage: the name of this stage in progress reports.
    """
    models, found = models_of(model), list[list[float]]()
    for label in labels:
        of_class = rows.of_class(label) if rows.is_of_several_classes else rows
        one = models.get(label)
        if one is None or one.model.apm is None:
            found.append([float(row.foreground_pixels == 0) for row in of_class])
        else:
            assessment = Assessment(prompts=PromptSource.APM)
            told = renamed(progress, stage)
            results = evaluate(one.model, of_class, assessment, store=store, progress=told)
            found.append([result.measures["dice"] for result in results])
    return np.array(found, np.float64)


def edited_rows(rows: Dataset, edited: Mapping[str, Sequence[int]], folder: Path) -> BoolArray:
    """Return for each held-out row whether a person edited or drew its mask, (rows,).

    Args:
        rows: the held-out images.
        edited: the slices that were edited, for each mask by its path in the folder.
        folder: the folder of the round.
    """
    slices = {(folder / mask).absolute(): set(indices) for mask, indices in edited.items()}
    return np.array([row.index in slices.get(row.row.mask.absolute(), ()) for row in rows], np.bool_)
