"""Measure everything that a report contains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from promise_seg.assessment.budget import SLICES_APART, prompt_budget, segments_slices_apart
from promise_seg.assessment.evaluation import Assessment, Result
from promise_seg.assessment.strata import SIZE, columns_to_group_by
from promise_seg.assessment.summary import EvaluationSummary, SeenInTraining, TestLooks
from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.tiles import is_divided
from promise_seg.features.store import FeatureStore
from promise_seg.images.tiles import NO_TILE
from promise_seg.inference.rows import check_tiled_rows
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.reporting.card import make_card
from promise_seg.reporting.document import BudgetRow, ReportedEvaluation, RunReport, Worst
from promise_seg.reporting.options import ReportOptions
from promise_seg.reporting.run_files import read_run
from promise_seg.storage.remote_paths import as_path
from promise_seg.workflows.evaluation import score_and_judge
from promise_seg.workflows.model_ref import BARE, ModelPart, ModelRef

NoteLook = Callable[[dict[str, object]], TestLooks | None]
"""A function that logs a look at the rows, and returns the counts of looks for the report."""
NoteSeen = Callable[[], SeenInTraining | None]
"""A function that returns the counts of images that the model knows from training, for the report."""
TILES_APART = (
    "the prompt error budget is not measured: it compares the prompts of whole images, but some images are seen in "
    f"tiles. Give --tile {NO_TILE} to measure it"
)


@dataclass(frozen=True)
class ReportContent:
    """The content of a report before rendering.

    Args:
        report: the report.
        worst: the results of the worst cases, the lowest Dice first.
        assessment: the assessment that the worst cases come from.
        notes: notes on the files of the run.
    """

    report: RunReport
    worst: list[Result]
    assessment: Assessment
    notes: list[str]


def collect(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    options: ReportOptions,
    *,
    store: FeatureStore | None = None,
    progress: Progress = silent,
    note_look: NoteLook = lambda _: None,
    note_seen: NoteSeen = lambda: None,
) -> ReportContent:
    """Evaluate a model with each kind of prompts, measure its prompt error budget, and make its run card.

    Args:
        model: a model of any variant.
        rows: the rows to score the model on.
        options: the options of the report.
        store: the feature store.
        progress: called for each image.
        note_look: called once, after the evaluations.
        note_seen: called once, after the evaluations.

    Raises:
        SettingsError: if the manifest lacks a column, or the model cannot make the prompts; before anything is scored.
        CheckpointError: if a file next to the model is damaged.
    """
    columns_to_group_by(options.by, [row.row for row in rows])
    part = ModelRef.resolve(BARE if options.is_bare else options.run).parts[0]
    run = read_run(part.checkpoint)
    card = make_card(model, rows, options, run)
    assessments = [
        Assessment(prompts=source, seed=options.seed, tolerance=options.tolerance) for source in options.prompts
    ]
    for assessment in assessments:
        check_tiled_rows(rows, assessment)
    scored = [_evaluate(part, model, rows, options, assessment, store, progress) for assessment in assessments]
    results, main = scored[0]
    prompts = "report: " + ", ".join(options.prompts)
    facts: dict[str, object] = {"prompts": prompts, "dice": main.mean["dice"], "mask_given": False}
    facts |= {"always_segment": True} if main.always_segment else {}
    looks = note_look(facts | {name: getattr(main, name) for name in ("protocol", "postprocessing", "mask_choice")})
    seen = note_seen()
    budget_notes = _budget_notes(model, rows) if options.budget else ()
    summaries = [summary.with_notes(test_looks=looks, seen_in_training=seen) for _, summary in scored]
    worst = worst_results(results, options.worst)
    report = RunReport(
        title=f"Report on {options.run}",
        made_at=datetime.now(UTC).replace(microsecond=0),
        card=card,
        evaluations=tuple(ReportedEvaluation.of(summary) for summary in summaries),
        curves=run.log,
        budget=_budget(model, rows, options, store, progress),
        budget_notes=budget_notes,
        worst=tuple(_worst(result, options.data) for result in worst),
    )
    return ReportContent(report, worst, assessments[0], [*run.notes, *budget_notes])


def worst_results(results: Sequence[Result], count: int) -> list[Result]:
    """Return up to ``count`` results with the lowest Dice; ties are broken by IoU, then by name."""
    return sorted(results, key=lambda one: (one.scores.dice, one.scores.iou, one.checked.name))[:count]


def name_of(row: CheckedRow, data: str) -> str:
    """Return the name of an image, relative to the folder of its manifest."""
    folder = as_path(data).parent
    name = row.row.image.relative_to(folder) if row.row.image.is_relative_to(folder) else row.row.image
    return f"{name.as_posix()}#{row.index}" if row.is_slice else name.as_posix()


def _worst(result: Result, data: str) -> Worst:
    row = result.checked
    return Worst(
        image=name_of(row, data),
        dice=round(result.scores.dice, 6),
        iou=round(result.scores.iou, 6),
        share=round(row.foreground_pixels / (row.height * row.width), 6),
        trust=None if result.trust is None else round(result.trust, 6),
    )


def _evaluate(
    part: ModelPart,
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    options: ReportOptions,
    assessment: Assessment,
    store: FeatureStore | None,
    progress: Progress,
) -> tuple[Sequence[Result], EvaluationSummary]:
    """Return the scores of each image, and their summary as ``promise evaluate`` writes it."""
    found = score_and_judge(
        part, model, rows, assessment, data=options.data, split=options.split, by=[SIZE, *options.by], store=store,
        progress=progress, stage=assessment.prompts.heading,
    )  # fmt: skip
    return found.results, found.summary


def _budget(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    options: ReportOptions,
    store: FeatureStore | None,
    progress: Progress,
) -> tuple[BudgetRow, ...]:
    if not options.budget or any(map(is_divided, rows)):
        return ()
    found = prompt_budget(model, rows, seed=options.seed, store=store, progress=progress)
    groups = [row.row.group for row in rows]
    return tuple(BudgetRow.model_validate(one.summary(groups, options.seed)) for one in found)


def _budget_notes(model: PromiseModel, rows: Sequence[CheckedRow]) -> tuple[str, ...]:
    """Return why the budget cannot be measured, or how its own prompts differ from those of the evaluations."""
    if any(map(is_divided, rows)):
        return (TILES_APART,)
    return (SLICES_APART,) if segments_slices_apart(model, rows) else ()
