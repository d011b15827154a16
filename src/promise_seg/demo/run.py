"""Train three variants, score them beside the bare SAM, and show the first test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.assessment.metrics import mean_scores
from promise_seg.checkpoint import load_checkpoint
from promise_seg.dataset.checks import CheckedRow
from promise_seg.demo.page import Column, write_page
from promise_seg.errors import ManifestError
from promise_seg.features.store import FeatureStore
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.training import TrainingRun
from promise_seg.model import PromiseModel, bare_model
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.vocabulary import PromptSource, Split, Variant

VARIANTS = (Variant.APM, Variant.IPS, Variant.APM_IPS)
TABLE_HEAD = ("model", "prompts", "Dice", "IoU", "MAE", "precision", "recall")
_PICTURES = 8


@dataclass(frozen=True)
class DemoResult:
    """The rows of the table under :data:`TABLE_HEAD`, and the path of the page."""

    table: list[tuple[str, ...]]
    page: Path


def run_demo(
    folder: Path,
    rows: Sequence[CheckedRow],
    sam: Backbone,
    accelerator: Accelerator,
    *,
    epochs: int,
    views: int,
    seed: int,
    note: str,
    progress: Progress = silent,
) -> DemoResult:
    """Run the whole demonstration; finished parts are not repeated.

    Raises:
        ManifestError: if there are no test rows.
    """
    test = [r for r in rows if r.row.split == Split.TEST]
    if not test:
        raise ManifestError("the demo needs test rows to report on. Add some to the CSV")
    store = FeatureStore(folder / "features")
    models: dict[Variant, PromiseModel] = {Variant.SAM: bare_model(sam)}
    for variant in VARIANTS:
        settings = TrainSettings(variant=variant, epochs=epochs, views=views, seed=seed)
        run = TrainingRun(folder / "runs" / variant, rows, sam, store, settings, accelerator)

        def report(stage: str, done: int, total: int, note: str = "", variant: Variant = variant) -> None:
            progress(f"{stage} {variant}" if stage == "training" else stage, done, total, note)

        run.encode(report)
        run.run(report)
        models[variant] = load_checkpoint(folder / "runs" / variant, sam)
    plan = [(Variant.SAM, PromptSource.ORACLE)]
    for variant in VARIANTS:
        if variant != Variant.IPS:
            plan.append((variant, PromptSource.APM))
        plan.append((variant, PromptSource.ORACLE))
    table: list[tuple[str, ...]] = [TABLE_HEAD]
    for number, (variant, source) in enumerate(plan):
        results = evaluate(models[variant], test, Assessment(prompts=source, seed=seed), store=store)
        mean = mean_scores([r.scores for r in results])
        name = "bare SAM" if variant == Variant.SAM else str(variant)
        values = (mean.dice, mean.iou, mean.mae, mean.precision, mean.recall)
        table.append((name, source.heading, *(f"{v:.3f}" for v in values)))
        progress("scoring", number + 1, len(plan))
    columns: list[Column] = [
        ("bare SAM, oracle points", models[Variant.SAM], Assessment(prompts=PromptSource.ORACLE, seed=seed)),
        ("ips, oracle points", models[Variant.IPS], Assessment(prompts=PromptSource.ORACLE, seed=seed)),
        ("apm, own points", models[Variant.APM], Assessment(prompts=PromptSource.APM)),
        ("apm+ips, own points", models[Variant.APM_IPS], Assessment(prompts=PromptSource.APM)),
    ]
    return DemoResult(table, write_page(folder, test[:_PICTURES], columns, table, note))
