"""Measure on validation rows what a run's best model does, once it is trained."""

from collections.abc import Sequence
from pathlib import Path

from promise_seg.checkpoint import BEST_FOLDER, read_config, save_checkpoint
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.learning.answering import ANSWERS_FILE, measure_answers, read_answers, write_answers
from promise_seg.learning.instance_choices import choose_and_score
from promise_seg.learning.presence import presence_threshold
from promise_seg.learning.second_pass import measure_second_pass
from promise_seg.learning.settings import TrainSettings
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.vocabulary import GivenPrompts


def is_measured(folder: Path) -> bool:
    """Whether the best model of the run in a folder has been measured."""
    return bool(read_config(folder / BEST_FOLDER).given)


def lacks_final_choices(folder: Path, settings: TrainSettings) -> bool:
    """Whether a run has yet to measure its best model after the last epoch, as after an interruption at that point.

    The best model of a run without an object in its val rows is measured, but has no answers. Runs of the reference
    protocol and of earlier versions are not measured.

    Args:
        folder: the folder of the run, or of the run of one class.
        settings: the settings of the run.

    Raises:
        CheckpointError: if the config of the best model cannot be read.
    """
    if settings.given_prompts == GivenPrompts.POINTS or is_measured(folder):
        return False
    return not (folder / ANSWERS_FILE).exists() or bool(read_answers(folder))


def measure_best(
    model: PromiseModel,
    folder: Path,
    rows: Sequence[CheckedRow],
    store: FeatureStore,
    settings: TrainSettings,
    progress: Progress = silent,
) -> None:
    """Measure the best model's answers to given prompts, the gain of a second pass, and its presence threshold.

    Its checkpoint is written last, because that marks the measurement as done.

    Args:
        model: the model of the run's checkpoint ``best``.
        folder: the folder of the run.
        rows: the val rows.
        store: the feature store.
        settings: the settings of the run.
        progress: called for each image.
    """
    answers = measure_answers(model, rows, store, progress)
    write_answers(folder, answers)
    as_volumes, separates = settings.scores_volumes, settings.separates(rows[0].reading.masks)
    helps = model.apm is not None and measure_second_pass(model, rows, store, progress, as_volumes=as_volumes).helps
    chosen = choose_and_score(model, rows, store, progress) if separates else None
    if chosen is not None:
        chosen.scores.write(folder)
    changes = {
        "given": {one.form: one.answer for one in answers},
        "second_pass": helps,
        "instances": None if chosen is None else chosen.rule,
    }
    config = model.config
    model.config = config.model_copy(update={"second_pass": helps})  # as masks will be made
    changes["presence_threshold"] = presence_threshold(model, rows, store, progress, as_volumes=as_volumes)
    model.config = config.model_copy(update=changes)
    save_checkpoint(model, folder / BEST_FOLDER)
