"""Measure on validation rows what the best model of a run does, when it is trained."""

from collections.abc import Sequence
from pathlib import Path

from promise_seg.checkpoint import BEST_FOLDER, load_checkpoint, read_config, save_checkpoint
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.learning.answering import measure_answers, write_answers
from promise_seg.learning.instance_choices import choose_instance_rule
from promise_seg.learning.presence import presence_threshold
from promise_seg.learning.second_pass import measure_second_pass
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone


def measure_best(
    folder: Path,
    rows: Sequence[CheckedRow],
    sam: Backbone,
    store: FeatureStore,
    *,
    separates: bool = False,
    progress: Progress = silent,
) -> None:
    """Measure what the best model does with given prompts, when it says that nothing is there, and whether a second
    pass helps its own prompts; unless this is done.

    Its checkpoint is written last, as it is what declares this done.

    Args:
        folder: of the run.
        rows: of ``val``.
        sam: of the model.
        store: of features.
        separates: whether it learned to tell objects apart.
        progress: told of each image.
    """
    best = folder / BEST_FOLDER
    if read_config(best).given:
        return
    model = load_checkpoint(best, sam)
    answers = measure_answers(model, rows, store, progress)
    write_answers(folder, answers)
    changes = {
        "given": {one.form: one.answer for one in answers},
        "presence_threshold": presence_threshold(model, rows, store),
        "second_pass": model.apm is not None and measure_second_pass(model, rows, store, progress).helps,
        "instances": choose_instance_rule(model, rows, store, progress) if separates else None,
    }
    model.config = model.config.model_copy(update=changes)
    save_checkpoint(model, best)
