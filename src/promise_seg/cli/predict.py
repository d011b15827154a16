"""``promise predict``"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import console, pick_device, print_notes, quiet_libraries, stages_bar
from promise_seg.cli.options import OUTPUT, DeviceOption, SamPlaceOption, TrainedArgument, choice, option, output_option
from promise_seg.vocabulary import OutputFormat


def predict(
    run: TrainedArgument,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Images, volumes, DICOM files, and folders of them.")
    ],
    output: Annotated[Path, output_option("Folder for masks, overlays and predictions.csv.")],
    output_format: Annotated[
        OutputFormat,
        choice(OutputFormat, "--format", about="auto is as the input, which is DICOM-SEG for DICOM", panel=OUTPUT),
    ] = OutputFormat.AUTO,
    names: Annotated[
        list[str] | None,
        option(
            "--name",
            metavar="NAME",
            about="What is segmented, for DICOM-SEG and COCO; LABEL=NAME for one of several.",
            panel=OUTPUT,
        ),
    ] = None,
    sam: SamPlaceOption = None,
    device: DeviceOption = "auto",
) -> int:
    """Predict masks that fit back onto the images, without a ground truth. The same command resumes if interrupted."""
    from promise_seg.images.exports.inputs import find_inputs

    found = find_inputs(images, note=_print_note)
    quiet_libraries()
    from promise_seg.prediction.folders import predict_folder
    from promise_seg.prediction.labelling import load_labeller

    labeller = load_labeller(run, sam=sam, device=pick_device(device), names=names or ())
    print_notes(labeller.sam)
    for note in labeller.notes:
        _print_note(note)
    with stages_bar() as progress:
        outcome = predict_folder(labeller, found, output, output_format, progress)
    console.print(f"{outcome.predicted} predicted, {outcome.already_there} already there, in {output}")
    for note in outcome.notes:
        _print_note(note)
    for problem in outcome.problems:
        print(f"promise: error: {problem}", file=sys.stderr)
    return 2 if outcome.problems else 0


def _print_note(words: str) -> None:
    console.print(f"note: {words}", markup=False)
