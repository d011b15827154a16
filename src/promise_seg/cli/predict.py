"""``promise predict``"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import DeviceOption, console, pick_device, print_notes, progress_bar, quiet_libraries


def predict(
    run: Annotated[Path, typer.Argument(help="Output folder of promise train, or a checkpoint.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for masks, overlays and predictions.csv.")],
    sam: Annotated[str | None, typer.Option("--sam", help="Where the SAM is, if not where training found it.")] = None,
    device: DeviceOption = "auto",
) -> int:
    """Predict masks at the images' own size; no ground truth is read. Goes on where a stopped run was."""
    from promise_seg.prediction.folders import find_images, predict_folder

    found = find_images(images)
    quiet_libraries()
    from promise_seg.prediction.predictor import load

    predictor = load(run, sam=sam, device=pick_device(device))
    print_notes(predictor.model.sam)
    with progress_bar() as progress:
        task = progress.add_task("predicting", total=len(found), note="")
        outcome = predict_folder(predictor, found, output, lambda: progress.advance(task))
    console.print(f"{outcome.predicted} predicted, {outcome.already_there} already there, in {output}")
    for problem in outcome.problems:
        print(f"promise: error: {problem}", file=sys.stderr)
    return 2 if outcome.problems else 0
