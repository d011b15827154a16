"""Score a model's proposals on the held-out images, to decide by the mean Dice which of two models is used."""

from collections.abc import Sequence

import numpy as np

from promise_seg.annotator.segmenter import models_of
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
) -> float:
    """Return the mean Dice of a model's own proposals over classes and images, 0 to 1.

    For a class in which the model makes no proposals, as with a bare SAM, empty masks are scored.

    Args:
        model: the model to score.
        rows: the held-out images.
        labels: the labels of the project's classes.
        store: the store of features.
        progress: called for each image.
        stage: the name of this stage in progress reports.
    """
    models, found = models_of(model), []
    for label in labels:
        of_class = rows.of_class(label) if rows.is_of_several_classes else rows
        one = models.get(label)
        if one is None or one.model.apm is None:
            found += [float(row.foreground_pixels == 0) for row in of_class]
        else:
            assessment = Assessment(prompts=PromptSource.APM)
            told = renamed(progress, stage)
            results = evaluate(one.model, of_class, assessment, store=store, progress=told)
            found += [result.measures["dice"] for result in results]
    return float(np.mean(found))
