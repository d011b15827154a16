"""The command ``promise train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import (
    given_of,
    print_deviations,
    print_line,
    quiet_libraries,
    read_data,
    stages_bar,
)
from promise_seg.cli.early_checks import paths_first
from promise_seg.cli.groups import ENCODING, Values, with_groups
from promise_seg.cli.next_command import after_training
from promise_seg.cli.options import MODEL, DataArgument, option, output_option
from promise_seg.cli.reading_options import READING
from promise_seg.cli.training_options import FITTING, LEARNING, PROMPTING
from promise_seg.cli.trust import print_uncertainty
from promise_seg.vocabulary import Split

if TYPE_CHECKING:
    from promise_seg.images.reading import ReadingOptions
    from promise_seg.workflows.one_run import Trained


@paths_first
@with_groups(reading=READING, prompting=PROMPTING, encoding=ENCODING, fitting=FITTING, learning=LEARNING)
def train(
    context: typer.Context,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder of the run; an unfinished run there is resumed.")],
    reading: "ReadingOptions",
    *,
    prompting: Values,
    encoding: Values,
    fitting: Values,
    init: Annotated[
        str | None,
        option(
            "--init",
            metavar="MODEL",
            about="Start from a run, a checkpoint or a .pt file of the published code: parts that fit are copied.",
            panel=MODEL,
        ),
    ] = None,
    one_model: Annotated[
        bool,
        typer.Option(
            "--one-model",
            help="Train one network for all classes of label maps, instead of a model for each.",
            rich_help_panel=MODEL,
            show_default=False,
        ),
    ] = False,
    learning: Values,
) -> None:
    """Train a model on your images. SAM stays frozen unless --train-also is given. The same command resumes an
    interrupted training."""
    from promise_seg.dataset.manifest import scan_manifest
    from promise_seg.protocol import training_deviations
    from promise_seg.workflows import training
    from promise_seg.workflows.one_model import check_one_model
    from promise_seg.workflows.starts import Starts
    from promise_seg.workflows.training_settings import settings_for, usual_reading

    given = given_of(context, (*prompting, *fitting, *learning))
    protocol = encoding["protocol"]
    starts = None if init is None else Starts(init)
    settings = settings_for(protocol, starts, given)
    if one_model:
        check_one_model(settings)
    print_deviations(training_deviations(protocol))
    usual = usual_reading(protocol, starts)
    reading.applied_to(usual)
    rows, _ = scan_manifest(data)  # before SAM is loaded; unusable rows are reported with the files
    quiet_libraries()
    runs: list[Trained] = []
    with stages_bar() as progress:
        training.train(
            lambda: read_data(data, reading, usual, val_share=encoding["val_share"], seed=settings.seed),
            output, init=starts, one_model=one_model, progress=progress, note=print_line, trained=runs.append,
            **encoding, **given,
        )  # fmt: skip
    _print_all(runs, output)
    has_test, separates = any(row.split == Split.TEST for row in rows), any(run.separates for run in runs)
    following = after_training(output, data, settings.variant, protocol, has_test=has_test, separates=separates)
    print_line(f"next: {following}")


def _print_all(runs: "list[Trained]", output: Path) -> None:
    for run in runs:
        _print(run, output)


def _print(trained: "Trained", output: Path) -> None:
    """Print warnings about the trust scores of a run, its best scores on the val rows, and where its files are."""
    if trained.folder != output:  # of one class
        print_line(f"{trained.folder}:")
    print_line(f"encoded {trained.encoded} views")
    if trained.trust is not None:
        print_uncertainty(trained.trust)
    if trained.why_no_trust:
        print_line(f"note: no trust scores: {trained.why_no_trust}")
    for line in trained.score_lines:
        print_line(line)
    print_line(f"model: {trained.best_folder}; what was measured and chosen on the val rows: {trained.summary_file}")
