"""One run, from the encoding of its features to its calibration."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promise_seg.checkpoint import BEST_FOLDER, read_config
from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.inference.apm_cache import caching_apm_outputs
from promise_seg.inference.planning import plan_encoding
from promise_seg.learning.answering import MeasuredAnswer, answers_in_words
from promise_seg.learning.instance_choices import read_object_scores
from promise_seg.learning.training import TrainingRun
from promise_seg.learning.training_classes import ClassesRun
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.trust.calibrating import ensure_calibrated
from promise_seg.trust.trust_model import TrustModel
from promise_seg.workflows.noting import Note, no_note
from promise_seg.workflows.run_summary import SUMMARY_FILE, write_summary


@dataclass(frozen=True)
class Trained:
    """The outcome of one run.

    Args:
        folder: the folder of the run.
        encoded: the number of views that had to be encoded.
        best: the epoch (from 0), ``dice`` on the val rows, and ``mask_choice`` of the best model.
        trust: the trust model, calibrated after training; ``None`` for a variant without APM, or if calibration failed.
        why_no_trust: the reason for the latter.
        answers: the best answer to prompts of each form, as measured on the val rows.
    """

    folder: Path
    encoded: int
    best: dict[str, Any]
    trust: TrustModel | None
    why_no_trust: str = ""
    answers: tuple[MeasuredAnswer, ...] = ()

    @property
    def score_lines(self) -> list[str]:
        """The best Dice on the val rows and, for models that separate objects, the F1 of the objects."""
        lines = [f"best val Dice {self.best['dice']:.4f}, at epoch {self.best['epoch'] + 1}"]
        objects = read_object_scores(self.folder) if self.separates else None
        return lines if objects is None else [*lines, objects.words]

    @property
    def separates(self) -> bool:
        """Whether the model separates objects, as it does after training on instance maps."""
        return read_config(self.best_folder).instances is not None

    @property
    def lines(self) -> list[str]:
        """The scores of prompts that a person gives, and the choices made on the val rows, in a fixed order."""
        lines = answers_in_words(self.answers)
        config = read_config(self.best_folder)
        if config.map_share == 1:
            same = "; the prompts do not change it" if config.presence_threshold is None else ""
            lines.append(
                "own prompts: the mask is the auto-prompter's saliency map alone, which was better on the val rows"
                + same
            )
        elif config.second_pass:
            lines.append("own prompts: SAM's masks are fed back to it once, which was better on the val rows")
        if config.instances is not None:
            lines.append(f"separate objects, as is best on the val rows: {config.instances.words}")
        return lines

    @property
    def summary_file(self) -> Path:
        """The file with all of this in words."""
        return self.folder / SUMMARY_FILE

    @property
    def best_folder(self) -> Path:
        """The checkpoint of the best model."""
        return self.folder / BEST_FOLDER


def run_and_calibrate(
    run: TrainingRun,
    rows: Sequence[CheckedRow],
    progress: Progress = silent,
    forgiven: type[PromiseError] = SettingsError,
    note: Note = no_note,
) -> Trained:
    """Start or resume a run, and calibrate its trust scores; what is already done is skipped.

    Args:
        run: the run to finish.
        rows: the rows of the run.
        progress: called for each image and step.
        forgiven: the errors of calibration for which the run ends without trust scores instead of failing.
        note: called with the expected cost of encoding, before it begins.

    Raises:
        SettingsError: if training diverged.
        CheckpointError: if the best model of a finished run is damaged or missing.
        PromiseError: if the disk of the store is too small.
    """
    with run.store.in_use():
        encoded = 0 if run.finished else _encode(run, note, progress)
        run.run(progress)
        if not run.accelerator.is_main_process:
            return Trained(run.folder, encoded, run.best, None)
        trained = Trained(run.folder, encoded, run.best, None, answers=run.answers)
        return _calibrated(trained, rows, run, progress, forgiven)


def run_and_calibrate_classes(
    run: ClassesRun, rows: Dataset, progress: Progress = silent, note: Note = no_note
) -> Iterator[Trained]:
    """Start or resume the run of one network for several classes, and yield the outcome of each class in turn.

    Args:
        run: the run to finish.
        rows: the rows of the run, for all classes.
        progress: called for each image and step.
        note: called with the expected cost of encoding, before it begins.

    Raises:
        SettingsError, CheckpointError, PromiseError: see :func:`run_and_calibrate`.
    """
    with run.store.in_use():
        encoded = 0 if run.finished else _encode(run, note, progress)
        run.finish(progress)
        trained = {label: Trained(run.folder_of(label), 0, run.best_of(label), None) for label in run.labels}
        first = run.labels[0]
        trained[first] = replace(trained[first], encoded=encoded)  # for all classes together
        if run.accelerator.is_main_process:
            best = run.best_models()
            with caching_apm_outputs(tuple(best.values())):
                for label, model in best.items():
                    one = replace(trained[label], answers=run.answers_of(label))
                    trained[label] = _calibrated(one, rows.of_class(label), run, progress, SettingsError, model)
    yield from trained.values()


def _calibrated(
    trained: Trained,
    rows: Sequence[CheckedRow],
    run: TrainingRun,
    progress: Progress,
    forgiven: type[PromiseError],
    model: PromiseModel | None = None,
) -> Trained:
    """Calibrate the trust scores of a trained model, and write the summary of its run."""
    try:
        device = run.accelerator.device
        trust = ensure_calibrated(trained.best_folder, rows, run.store, run.sam, device, progress, model)
    except forgiven as error:
        trained = replace(trained, why_no_trust=str(error))
    else:
        trained = replace(trained, trust=trust)
    write_summary(trained)
    return trained


def _encode(run: TrainingRun, note: Note, progress: Progress) -> int:
    """Report the expected cost of encoding, encode, and return the number of encoded views."""
    encoded = 0
    if run.accelerator.is_main_process:
        plan = plan_encoding(run.samples, run.model.sam, run.store, run.model.stages_read, progress)
        encoded = plan.encoded
        if plan.missing:
            note(plan.words)
        plan.check_space()
    return encoded + run.encode(progress)
