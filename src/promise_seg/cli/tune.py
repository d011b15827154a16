"""The command ``promise tune-postprocess``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import open_trained, print_line, stages_bar
from promise_seg.cli.early_checks import paths_first
from promise_seg.cli.groups import VALIDATION, Values, with_groups
from promise_seg.cli.options import MODEL, TrainedArgument, option
from promise_seg.cli.trust import print_learned
from promise_seg.quantities import count_in_words

if TYPE_CHECKING:
    from promise_seg.workflows.calibrating import Tuning


@paths_first
@with_groups(options=VALIDATION)
def tune(
    run: TrainedArgument,
    data: Annotated[Path, typer.Argument(help="The CSV of training, or another one; only val rows are read.")],
    reset: Annotated[
        bool,
        option("--reset", about="Reset to the threshold 0.5 and independent slices.", panel=MODEL),
    ] = False,
    *,
    options: Values,
) -> None:
    """Choose the post-processing on the val rows. It is saved with the model, and used by all commands."""
    from promise_seg.workflows import calibrating

    model = open_trained(run, None if reset else data, calibrating.POSTPROCESSING, options)
    with stages_bar() as progress:
        found = calibrating.tune_postprocess(model, data, reset=reset, **options, progress=progress, note=print_line)
    for one in found:
        _print(one)


def _print(found: "Tuning") -> None:
    from promise_seg.assessment.tuning import candidates

    if found.tuned is None:
        print_line("post-processing: none")
    else:
        scores = found.tuned
        print_line(
            f"post-processing: {found.chosen.words}; val Dice {scores.dice:.4f}, without any {scores.dice_without:.4f},"
            f" the best of {len(candidates())} {scores.best_dice:.4f} ({found.prompts.heading}, {found.images} images)"
        )
    if found.volumes is not None:
        rule = found.volumes
        print_line(
            f"volumes: {rule.chosen.words}; val 3-D Dice {rule.dice:.4f}, slice by slice {rule.dice_without:.4f}, the "
            f"best of {rule.tried} {rule.best_dice:.4f} ({count_in_words(rule.volumes, 'volume')})"
        )
    if found.instances is not None:
        print_line(f"separate objects: {found.instances.words}")
    if found.trust is not None:
        print_learned(found.trust)
    print_line(f"written: {found.folder}")
