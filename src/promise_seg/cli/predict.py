"""``promise predict``"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import console, print_lines, quiet_libraries, stages_bar
from promise_seg.cli.options import (
    OUTPUT,
    AlwaysSegmentOption,
    DeviceOption,
    LevelOption,
    OtherEncoderPrecisionOption,
    OverlapOption,
    SamPlaceOption,
    SlicesOption,
    TileOption,
    TrainedArgument,
    choice,
    option,
    output_option,
)
from promise_seg.vocabulary import OutputFormat, Slices

_KeepEmptyFramesOption = Annotated[
    bool,
    option(
        "--keep-empty-frames",
        about="Keep empty frames in DICOM-SEG, for viewers that misplace segments without them.",
        panel=OUTPUT,
        show_default=False,
    ),
]


def predict(
    run: TrainedArgument,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES...",
            help="Images, volumes, DICOM files, and folders of them; or an archive, dicomweb://HOST/PATH?Modality=CT.",
        ),
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
    keep_empty_frames: _KeepEmptyFramesOption = False,
    every: Annotated[
        int,
        option("--every", metavar="N", about="Predict every Nth frame of videos.", panel=OUTPUT),
    ] = 1,
    instances: Annotated[
        bool,
        option(
            "--instances",
            about="Find each object separately: instance maps instead of masks, and objects.csv.",
            panel=OUTPUT,
            show_default=False,
        ),
    ] = False,
    slices: SlicesOption = Slices.AUTO,
    send: Annotated[
        bool,
        option(
            "--send",
            about="Send the DICOM segmentations back to the archive that the images came from.",
            panel=OUTPUT,
            show_default=False,
        ),
    ] = False,
    to: Annotated[
        str | None,
        option("--to", metavar="ADDRESS", about="Send them to the archive of this address instead.", panel=OUTPUT),
    ] = None,
    tile: TileOption = None,
    overlap: OverlapOption = None,
    level: LevelOption = None,
    always_segment: AlwaysSegmentOption = False,
    sam: SamPlaceOption = None,
    device: DeviceOption = "auto",
    encoder_precision: OtherEncoderPrecisionOption = None,
) -> int:
    """Predict masks that fit back onto the images, without a ground truth. The same command resumes if interrupted."""
    quiet_libraries()
    from promise_seg.workflows import predicting

    with stages_bar() as progress:
        outcome = predicting.predict_folder(
            run, images, output, output_format=output_format, names=names or (), sam=sam, device=device,
            encoder_precision=encoder_precision, instances=instances, slices=slices, always_segment=always_segment,
            keep_empty_frames=keep_empty_frames, every=every, tile=tile, overlap=overlap, level=level, send=send,
            to=to, progress=progress, note=lambda words: print_lines([words]),
        )  # fmt: skip
    console.print(f"{outcome.predicted} predicted, {outcome.already_there} already there, in {output}")
    print_lines(outcome.notes)
    for problem in outcome.problems:
        print(f"promise: error: {problem}", file=sys.stderr)
    return 2 if outcome.problems else 0
