"""The command ``promise report``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import (
    each_of,
    open_to_score,
    print_line,
    print_lines,
    stages_bar,
)
from promise_seg.cli.early_checks import paths_first
from promise_seg.cli.groups import OPENING, Values, with_groups
from promise_seg.cli.options import (
    OUTPUT,
    SCORING,
    ByOption,
    DataArgument,
    ModelArgument,
    SplitOption,
    StoreOption,
    ToleranceOption,
    choice,
    option,
    output_option,
)
from promise_seg.cli.reading_options import READING
from promise_seg.vocabulary import PromptSource, SplitChoice

if TYPE_CHECKING:
    from promise_seg.images.reading import ReadingOptions


def _print_schema(wanted: bool) -> None:
    if wanted:
        import json

        from promise_seg.reporting.document import schema

        print(json.dumps(schema(), indent=2, sort_keys=True))
        raise typer.Exit


@paths_first
@with_groups(reading=READING, opening=OPENING.only("sam", "image_size", "device"))
def report(
    run: ModelArgument,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder for report.html and report.json.")],
    reading: "ReadingOptions",
    *,
    split: SplitOption = SplitChoice.TEST,
    prompts: Annotated[
        list[PromptSource] | None,
        choice(PromptSource, about="Prompts to report on, once or more; default: own and oracle points", panel=SCORING),
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
    seed: Annotated[
        int, option("--seed", min=0, about="Seed of oracle points, draws and intervals.", panel=SCORING)
    ] = 0,
    opening: Values,
    store: StoreOption = None,
    schema: Annotated[
        bool,
        option(
            "--schema", callback=_print_schema, is_eager=True, about="Print the schema of report.json.", panel=OUTPUT
        ),
    ] = False,
) -> None:
    """Write a report on a model as a self-contained HTML file and as JSON, with scores, worst cases, and the commands
    that reproduce it."""
    from promise_seg.assessment.measuring import parse_tolerance
    from promise_seg.reporting import report as reporting

    parse_tolerance(tolerance)
    model, rows = open_to_score(
        run, data, reading, split, opening, output=output, store=store, prompts=prompts or (), by=by or ()
    )
    with stages_bar() as progress:
        found = reporting.report(
            model, rows, output, split=split, prompts=prompts or (), by=by or (), tolerance=tolerance, budget=budget,
            images=images, worst=worst, seed=seed, store=store, progress=progress, **opening,
        )  # fmt: skip
    for one in each_of(found):
        print_lines(one.notes)
        for evaluation in one.document.evaluations:
            print_line(f"Dice {evaluation.mean['dice']:.4f} with {evaluation.name}")
        print_line(f"written: {', '.join(map(str, one.files))}")
