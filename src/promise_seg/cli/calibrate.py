"""The command ``promise calibrate``."""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import open_trained, print_line, stages_bar
from promise_seg.cli.early_checks import paths_first
from promise_seg.cli.groups import VALIDATION, Values, with_groups
from promise_seg.cli.options import TrainedArgument
from promise_seg.cli.trust import print_learned


@paths_first
@with_groups(options=VALIDATION)
def calibrate(
    run: TrainedArgument,
    data: Annotated[Path, typer.Argument(help="The CSV of training; its test rows are not read.")],
    options: Values,
) -> None:
    """Calibrate the trust scores of a model on its val rows. The calibration is saved with the model, and used by
    promise evaluate and promise predict."""
    from promise_seg.workflows import calibrating

    model = open_trained(run, data, calibrating.CALIBRATION, options)
    with stages_bar() as progress:
        found = calibrating.calibrate(model, data, **options, progress=progress, note=print_line)
    for one in found:
        print_learned(one.trust)
        print_line(f"written: {one.file}")
