"""Write a report on a model, or on each model of a set, as an HTML page and as JSON."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from promise_seg.arguments import checks_arguments
from promise_seg.assessment.measuring import parse_tolerance
from promise_seg.assessment.summary import SeenInTraining, TestLooks
from promise_seg.dataset.dataset import Dataset
from promise_seg.features.store import FeatureStore
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
from promise_seg.storage.files import write_text
from promise_seg.vocabulary import SplitChoice
from promise_seg.workflows.by_class import ByClass
from promise_seg.workflows.evaluation import as_store, columns_of_rows, data_name, rows_of_part, rows_to_score
from promise_seg.workflows.first_checks import check_before_scoring
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.models import ModelLike, OpenModels, open_models
from promise_seg.workflows.noting import logged_look, seen_images
from promise_seg.workflows.outputs import check_output


@dataclass(frozen=True)
class Report:
    """A report on one model and its files.

    Args:
        name: the name that the user gave to the model.
        document: the content of the page, except the images.
        files: the paths of the HTML page and of the JSON file.
        notes: notes on the images and on the files of the run, a line each.
    """

    name: str
    document: RunReport
    files: tuple[Path, ...]
    notes: tuple[str, ...]


@checks_arguments("data", "output", "prompts", "budget", "images", "worst", "image_size", "seed", "store", "progress")
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
    """Write a report on a model as an HTML file and as JSON: scores, worst cases, and commands that reproduce it.

    Args:
        model: a model or its name; for a set with a model for each class, a report is written for each.
        data: a data set, or its manifest, whose files are then read as in training.
        output: folder for ``report.html`` and ``report.json``; for a set, it gets a subfolder for each class.
        split: ``test``, ``val``, ``train`` or ``all``. A look at test rows is logged in the model's folder.
        prompts: one or more of ``apm``, ``oracle``, ``box`` and ``none``; by default own prompts and oracle points.
        by: a column of the manifest, or several, to report means by, in addition to object size.
        tolerance: the tolerance of the surface Dice, with the unit of all distances: ``2px`` or ``1.5mm``.
        budget: whether the prompt error budget is measured too.
        images: whether the worst cases are drawn into the page.
        worst: the number of worst cases.
        sam: the location of the model's SAM, if it has moved since training; for ``bare``, the SAM to use.
        image_size: side of the input of a bare SAM, in pixels.
        seed: the seed of oracle points, draws and intervals.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's.
        progress: called for each image.

    Raises:
        SettingsError: if an option is invalid, or the model cannot make the requested prompts.
        ManifestError: if the split has no rows, or files of its rows cannot be read.
        CheckpointError: if the model, or a file next to it, cannot be read.
    """
    wanted = parse_tolerance(tolerance)
    kept = as_store(store)
    check_before_scoring(model, data, split=split, output=output, device=device, prompts=prompts, by=by)
    opened = open_models(model, sam=sam, device=device, image_size=image_size)
    sources = pick_prompts(prompts, opened.models[0])
    rows = rows_to_score(opened, data, split, progress)
    columns = columns_of_rows(by, rows, wanted.unit)

    def write(part: ModelPart, one: PromiseModel, folder: Path | None) -> Report:
        options = ReportOptions(
            run=part.name, data=data_name(data), output=str(folder), prompts=sources, is_bare=part.is_bare,
            split=str(split), by=tuple(columns), tolerance=wanted, seed=seed, budget=budget, images=images, worst=worst,
            sam=sam if isinstance(sam, str) else None, image_size=image_size,
            reading=data.options if isinstance(data, Dataset) else NO_OPTIONS,
        )  # fmt: skip
        check_output(options.output)
        return _write(part, one, rows_of_part(rows, part, one), options, kept, progress)

    return opened.each(write, output)


def _write(
    part: ModelPart, model: PromiseModel, rows: Dataset, options: ReportOptions, store: FeatureStore, progress: Progress
) -> Report:
    """Collect the content of the report on one model, and write its files."""
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
