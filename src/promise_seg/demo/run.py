"""Train three variants, compare their scores with the bare SAM, and show the first test images."""

import time
from dataclasses import dataclass
from pathlib import Path

from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.metrics import Scores, mean_scores
from promise_seg.dataset.dataset import Dataset
from promise_seg.demo.page import Column, write_page
from promise_seg.errors import ManifestError
from promise_seg.features.store import FeatureStore
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.progress import Progress, silent
from promise_seg.quantities import seconds_in_words
from promise_seg.sam.loading import NANO, load_sam
from promise_seg.storage.files import check_writable
from promise_seg.storage.locks import alone_in
from promise_seg.vocabulary import PromptSource, Split, Variant
from promise_seg.workflows.devices import make_accelerator
from promise_seg.workflows.evaluation import score_and_judge
from promise_seg.workflows.models import OpenModels, open_models
from promise_seg.workflows.noting import Note, no_note
from promise_seg.workflows.one_run import run_and_calibrate

VARIANTS = (Variant.APM, Variant.IPS, Variant.APM_IPS)
TABLE_HEAD = ("model", "prompts", "Dice", "IoU", "MAE", "precision", "recall")
_PICTURES = 8


@dataclass(frozen=True)
class DemoResult:
    """The title of the table, its rows under :data:`TABLE_HEAD`, and the path of the page."""

    title: str
    table: list[tuple[str, ...]]
    page: Path


def run_demo(
    folder: Path,
    rows: Dataset,
    *,
    source: str,
    sam: str = NANO,
    epochs: int = 4,
    views: int = 4,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    note: Note = no_note,
) -> DemoResult:
    """Run the whole demonstration; finished parts are not repeated.

    Args:
        folder: the folder for all output.
        rows: rows of every split.
        source: a description of the images, for the page.
        sam: see :func:`~promise_seg.sam.loading.load_sam`.
        epochs: passes over the train rows.
        views: the number of views of each image.
        seed: seed of weights, draws and oracle points.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        progress: called for each image and step.
        note: called at the beginning of each of the four steps: three trainings, and the scoring.

    Raises:
        ManifestError: if there are no test rows.
        SettingsError: if this machine has no such device.
        CheckpointError: if there is no such SAM.
        PromiseError: if the folder cannot be written.
    """
    check_writable(folder)
    with alone_in(folder, "making the demonstration"):
        accelerator = make_accelerator(device)
        frozen = load_sam(sam, accelerator.device)
        if not rows.test:
            raise ManifestError("the demo needs test rows to report on. Add some to the CSV")
        store = FeatureStore(folder / "features")
        models = {Variant.SAM: open_models("bare", sam=frozen, device=accelerator.device)}
        begin = _Steps(len(VARIANTS) + 1, note)
        for variant in VARIANTS:
            begin(f"training {variant}")
            settings = make_settings(variant=variant, epochs=epochs, views=views, seed=seed)
            run = TrainingRun(folder / "runs" / variant, rows, frozen, store, settings, accelerator)
            run_and_calibrate(run, rows, _of_variant(progress, variant))
            models[variant] = open_models(run.folder, sam=frozen, device=accelerator.device)
        begin("scoring, and drawing the page")
        table = _table(models, rows, source, seed, store, progress)
        counts = ", ".join(f"{len(rows.of_split(split))} {split}" for split in Split)
        about = (
            f"Data: {source} ({counts} images). SAM: {sam}, frozen. {epochs} epochs, {views} views of each image, "
            f"seed {seed}. Scores are means over the test images, at their own size; models were chosen on the val "
            "images."
        )
        page = write_page(folder, rows.test[:_PICTURES], _columns(models, seed), table, about)
    return DemoResult(f"{counts} images; means over test", table, page)


class _Steps:
    """Report the beginning of each step of the demonstration, with the time that the steps before it took."""

    def __init__(self, total: int, note: Note) -> None:
        self._total, self._note, self._begun, self._started = total, note, 0, time.monotonic()

    def __call__(self, name: str) -> None:
        """Report the next step."""
        spent = f" ({seconds_in_words(time.monotonic() - self._started)} so far)" if self._begun else ""
        self._begun += 1
        self._note(f"step {self._begun} of {self._total}: {name}{spent}")


def _of_variant(progress: Progress, variant: Variant) -> Progress:
    """Return a progress callback that adds the variant being trained."""

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        progress(f"{stage} {variant}" if stage == "training" else stage, done, total, note)

    return report


def _table(
    models: dict[Variant, OpenModels], rows: Dataset, source: str, seed: int, store: FeatureStore, progress: Progress
) -> list[tuple[str, ...]]:
    """Score every model with its own prompts, if it has an APM, and with oracle points."""
    plan = [(Variant.SAM, PromptSource.ORACLE)]
    for variant in VARIANTS:
        if variant != Variant.IPS:
            plan.append((variant, PromptSource.APM))
        plan.append((variant, PromptSource.ORACLE))
    table: list[tuple[str, ...]] = [TABLE_HEAD]
    for number, (variant, prompts) in enumerate(plan):
        scores = _scores(models[variant], rows, Assessment(prompts=prompts, seed=seed), source, store)
        name = "bare SAM" if variant == Variant.SAM else str(variant)
        values = (scores.dice, scores.iou, scores.mae, scores.precision, scores.recall)
        table.append((name, prompts.heading, *(f"{value:.3f}" for value in values)))
        progress("scoring", number + 1, len(plan))
    return table


def _scores(opened: OpenModels, rows: Dataset, assessment: Assessment, source: str, store: FeatureStore) -> Scores:
    """Return the mean scores over the test rows."""
    [(part, model)] = opened
    found = score_and_judge(part, model, rows.test, assessment, data=source, split=Split.TEST, store=store)
    return mean_scores([result.scores for result in found.results])


def _columns(models: dict[Variant, OpenModels], seed: int) -> list[Column]:
    """Return the columns of predictions that are drawn of each image."""
    oracle, own = Assessment(prompts=PromptSource.ORACLE, seed=seed), Assessment(prompts=PromptSource.APM)
    return [
        ("bare SAM, oracle points", models[Variant.SAM].models[0], oracle),
        ("ips, oracle points", models[Variant.IPS].models[0], oracle),
        ("apm, own prompts", models[Variant.APM].models[0], own),
        ("apm+ips, own prompts", models[Variant.APM_IPS].models[0], own),
    ]
