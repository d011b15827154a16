"""``promise report``"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import (
    check_one_class,
    each_of,
    print_line,
    print_lines,
    print_notes,
    quiet_libraries,
    read_data,
    rows_of_split,
    stages_bar,
)
from promise_seg.cli.options import (
    OUTPUT,
    SCORING,
    BareSizeOption,
    ByOption,
    DataArgument,
    DeviceOption,
    ModelArgument,
    SamPlaceOption,
    SplitOption,
    StoreOption,
    ToleranceOption,
    choice,
    option,
    output_option,
)
from promise_seg.cli.reading_options import with_reading
from promise_seg.vocabulary import PromptSource, SplitChoice

if TYPE_CHECKING:
    from promise_seg.images.reading import ReadingOptions


def _print_schema(wanted: bool) -> None:
    if wanted:
        import json

        from promise_seg.reporting.document import schema

        print(json.dumps(schema(), indent=2, sort_keys=True))
        raise typer.Exit


@with_reading()
def report(
    run: ModelArgument,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder for report.html and report.json.")],
    reading: "ReadingOptions",
    split: SplitOption = SplitChoice.TEST,
    prompts: Annotated[
        list[PromptSource] | None,
        choice(PromptSource, about="Once or more; default: own and oracle points. One", panel=SCORING),
    ] = None,
    by: ByOption = None,
    tolerance: ToleranceOption = "2px",
    budget: Annotated[
        bool, option("--budget/--no-budget", about="Measure the prompt error budget.", panel=OUTPUT)
    ] = True,
    images: Annotated[
        bool, option("--images/--no-images", about="Draw the worst cases into the page.", panel=OUTPUT)
    ] = True,
    worst: Annotated[int, option("--worst", min=0, about="How many worst cases to show.", panel=OUTPUT)] = 12,
    sam: SamPlaceOption = None,
    image_size: BareSizeOption = None,
    seed: Annotated[
        int, option("--seed", min=0, about="Seed of oracle points, draws and intervals.", panel=SCORING)
    ] = 0,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    schema: Annotated[
        bool,
        option(
            "--schema", callback=_print_schema, is_eager=True, about="Print the schema of report.json.", panel=OUTPUT
        ),
    ] = False,
) -> None:
    """Write a report on a model as one HTML file and as JSON: scores, worst cases, and how to reproduce it."""
    check_one_class(reading.label)
    rows_of_split(data, split)
    quiet_libraries()
    from promise_seg.reporting import report as reporting
    from promise_seg.workflows.models import open_models

    model = open_models(run, sam=sam, device=device, image_size=image_size)
    print_notes(model.sam)
    rows = read_data(data, reading, model.reading, split=split)
    with stages_bar() as progress:
        found = reporting.report(
            model, rows, output, split=split, prompts=prompts or (), by=by or (), tolerance=tolerance, budget=budget,
            images=images, worst=worst, sam=sam, image_size=image_size, seed=seed, store=store, progress=progress,
        )  # fmt: skip
    for one in each_of(found):
        print_lines(one.notes)
        for evaluation in one.document.evaluations:
            print_line(f"Dice {evaluation.mean['dice']:.4f} with {evaluation.name}")
        print_line(f"written: {', '.join(map(str, one.files))}")
