"""``promise calibrate``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import print_line, print_notes, quiet_libraries, stages_bar
from promise_seg.cli.options import (
    DeviceOption,
    SamPlaceOption,
    SplitSeedOption,
    StoreOption,
    TrainedArgument,
    ValShareOption,
)
from promise_seg.cli.reading_options import ThresholdOption
from promise_seg.cli.trust import print_learned


def calibrate(
    run: TrainedArgument,
    data: Annotated[Path, typer.Argument(help="The CSV that it was trained with; its test rows are not read.")],
    sam: SamPlaceOption = None,
    val_share: ValShareOption = None,
    seed: SplitSeedOption = None,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    mask_threshold: ThresholdOption = None,
) -> None:
    """Calibrate the trust score on the val rows; saved with the model, used by evaluate and predict."""
    quiet_libraries()
    from promise_seg.workflows import calibrating
    from promise_seg.workflows.model_ref import ModelRef
    from promise_seg.workflows.models import open_models

    ref = ModelRef.resolve(run)
    ref.checkpoints(calibrating.CALIBRATION)
    model = open_models(ref, sam=sam, device=device)
    print_notes(model.sam)
    with stages_bar() as progress:
        found = calibrating.calibrate(
            model, data, val_share=val_share, seed=seed, store=store, mask_threshold=mask_threshold, progress=progress,
            note=print_line,
        )  # fmt: skip
    for one in found:
        print_learned(one.trust)
        print_line(f"written: {one.file}")
