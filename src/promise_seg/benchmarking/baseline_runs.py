"""The runs of baselines, which are trained or fitted, and scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from promise_seg.assessment.evaluation import Assessment, Result
from promise_seg.benchmarking.baselines import OTSU, PLAIN
from promise_seg.benchmarking.costs import training_seconds
from promise_seg.benchmarking.plain_rules import MeanMaskRule, OtsuRule
from promise_seg.benchmarking.plain_run import PlainRun, fitting_seconds
from promise_seg.benchmarking.spec import ModelSpec
from promise_seg.benchmarking.unet import UnetRun, UnetSettings
from promise_seg.dataset.checks import CheckedRow
from promise_seg.learning.settings import TrainSettings
from promise_seg.progress import Progress
from promise_seg.sam.backbone import Backbone


class BaselineRun(Protocol):
    """A baseline that is trained or fitted in a folder, and resumes there."""

    @property
    def finished(self) -> bool:
        """Whether training or fitting is finished."""

    def run(self, progress: Progress) -> object:
        """Train or fit to the end."""

    def evaluate(self, rows: Sequence[CheckedRow], how: Assessment) -> list[Result]:
        """Return the scores of rows."""

    def best_sha256(self) -> str:
        """Return the hash of the trained weights or the fitted values."""


def baseline_run(
    model: ModelSpec,
    folder: Path,
    train: Sequence[CheckedRow],
    val: Sequence[CheckedRow],
    sam: Backbone,
    settings: TrainSettings,
    cpu_seconds: float | None,
) -> BaselineRun:
    """Create or resume the run of a baseline.

    Args:
        model: the baseline.
        folder: the folder of the run.
        train: training rows.
        val: validation rows, which select the best epoch.
        sam: the SAM of the models with which the baseline is compared.
        settings: the settings of these models; seed, fit and augmentation are used.
        cpu_seconds: the CPU time for training, if the baseline has the budget of another model.

    Raises:
        CheckpointError: if the folder contains a run on other data or with other settings, or a damaged run.
    """
    if model.variant in PLAIN:
        rule = OtsuRule() if model.variant == OTSU else MeanMaskRule()
        return PlainRun(folder, model.variant, rule, train, sam, settings.fit)
    wanted = UnetSettings(
        seed=settings.seed, epochs=model.epochs, cpu_seconds=cpu_seconds, fit=settings.fit,
        augmentation=settings.augmentation, patience=model.patience, side=model.pretrained_side,
    )  # fmt: skip
    return UnetRun(folder, train, val, sam, wanted)


def seconds_of(model: ModelSpec, folder: Path) -> float:
    """Return the CPU seconds of training or fitting in the folder of a run, without encoding."""
    return fitting_seconds(folder) if model.variant in PLAIN else training_seconds(folder)
