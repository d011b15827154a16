"""Reports on models: one page and the same as JSON, for one model or for each of a set."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from promise_seg.assessment.measuring import parse_tolerance
from promise_seg.assessment.strata import columns_to_group_by
from promise_seg.assessment.summary import SeenInTraining, TestLooks
from promise_seg.dataset.dataset import Dataset
from promise_seg.features.store import FeatureStore
from promise_seg.files import write_text
from promise_seg.images.reading import NO_OPTIONS
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.reporting.collecting import collect
from promise_seg.reporting.document import RunReport
from promise_seg.reporting.gallery import worst_cases
from promise_seg.reporting.options import ReportOptions, pick_prompts
from promise_seg.reporting.page import render_page
from promise_seg.reporting.sections import report_sections
from promise_seg.sam.backbone import Backbone
from promise_seg.vocabulary import SplitChoice
from promise_seg.workflows.by_class import ByClass
from promise_seg.workflows.evaluation import as_store, data_name, rows_of_part, rows_to_score
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.models import ModelLike, OpenModels, open_models
from promise_seg.workflows.noting import logged_look, seen_images
from promise_seg.workflows.outputs import check_output


@dataclass(frozen=True)
class Report:
    """The files that were written about one model.

    Args:
        name: what the user calls the model.
        document: all that the page shows, but for the pictures.
        files: the page and its JSON.
        notes: what must be said of the images, a line each.
    """

    name: str
    document: RunReport
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def report(
    model: ModelLike | OpenModels,
    data: Dataset | str | Path,
    output: str | Path,
    *,
    split: str = SplitChoice.TEST,
    prompts: Sequence[str] = (),
    by: str | Sequence[str] = (),
    tolerance: str = "2px",
    budget: bool = True,
    images: bool = True,
    worst: int = 12,
    sam: Backbone | str | None = None,
    image_size: int | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    store: str | Path | FeatureStore | None = None,
    progress: Progress = silent,
) -> Report | ByClass[Report]:
    """Write all about a model into one HTML file, and the same as JSON: scores, worst cases, how to have it again.

    Args:
        model: a model or what names one; a set with a model for each class gives a report for each.
        data: a data set, or its manifest, whose files are then read as they were in training.
        output: folder for ``report.html`` and ``report.json``; of a set, one in it for each class.
        split: which rows: ``test``, ``val``, ``train`` or ``all``. Test rows are noted in the model's folder.
        prompts: one or more of ``apm``, ``oracle``, ``box`` and ``none``; by default own and oracle points.
        by: a column of the manifest to give means by, or several, beside those by size.
        tolerance: of the surface Dice, and the unit of distances: ``2px`` or ``1.5mm``.
        budget: whether the prompt error budget is measured too.
        images: whether the worst cases are drawn into the page.
        worst: how many of these are shown.
        sam: the model's SAM, if not where training found it; for ``bare`` which one.
        image_size: side of the input of a bare SAM, in pixels.
        seed: of oracle points, draws and intervals.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's.
        progress: told of each image.

    Raises:
        SettingsError: if an option cannot be meant, or the model cannot make such prompts.
        ManifestError: if there are no such rows, or files of them cannot be read.
        CheckpointError: if the model, or what stands beside it, cannot be read.
    """
    wanted = parse_tolerance(tolerance)
    opened = open_models(model, sam=sam, device=device, image_size=image_size)
    sources = pick_prompts(prompts, opened.models[0])
    rows = rows_to_score(opened, data, split, progress)
    columns = columns_to_group_by(by, [row.row for row in rows])

    def write(part: ModelPart, one: PromiseModel, folder: Path | None) -> Report:
        options = ReportOptions(
            run=part.name, data=data_name(data), output=str(folder), prompts=sources, is_bare=part.is_bare,
            split=str(split), by=tuple(columns), tolerance=wanted, seed=seed, budget=budget, images=images, worst=worst,
            sam=sam if isinstance(sam, str) else None, image_size=image_size,
            reading=data.options if isinstance(data, Dataset) else NO_OPTIONS,
        )  # fmt: skip
        check_output(options.output)
        return _write(part, one, rows_of_part(rows, part, one), options, as_store(store), progress)

    return opened.each(write, output)


def _write(
    part: ModelPart, model: PromiseModel, rows: Dataset, options: ReportOptions, store: FeatureStore, progress: Progress
) -> Report:
    """Measure all that the report of one model says, and write it."""
    notes: list[str] = []
    logged = ExitStack()

    def note_look(facts: dict[str, object]) -> TestLooks | None:
        looks, words = logged.enter_context(logged_look(part, model, rows, facts))
        notes.extend(words)
        return looks

    def note_seen() -> SeenInTraining | None:
        seen, words = seen_images(part, rows)
        notes.extend(words)
        return seen

    with logged:
        found = collect(
            model, rows, options, store=store, progress=progress, note_look=note_look, note_seen=note_seen
        )  # fmt: skip
        shown = worst_cases(model, found.worst, found.report.worst, found.assessment, store) if options.images else None
        made_at = f"{found.report.made_at:%Y-%m-%d %H:%M} UTC"
        subtitle = f"{found.report.evaluations[0].images_words} of {options.data}, {made_at}"
        page = render_page(found.report.title, subtitle, report_sections(found.report, shown))
        files = Path(options.output) / "report.html", Path(options.output) / "report.json"
        write_text(files[1], found.report.model_dump_json(indent=2) + "\n")
        write_text(files[0], page)
    return Report(part.name, found.report, files, (*notes, *found.notes))
