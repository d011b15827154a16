"""The command ``promise predict``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import print_line, print_lines, print_unfinished, quiet_libraries, stages_bar
from promise_seg.cli.early_checks import paths_first
from promise_seg.cli.groups import OPENING, Values, with_groups
from promise_seg.cli.options import (
    MODEL,
    OUTPUT,
    PARTS,
    PartOption,
    RayCpusOption,
    RayOption,
    SlicesOption,
    TrainedPlaceArgument,
    choice,
    option,
    output_option,
)
from promise_seg.cli.part_status import print_status
from promise_seg.cli.reading_options import TILING
from promise_seg.cli.usage import check_only, missing_argument
from promise_seg.errors import SettingsError
from promise_seg.quantities import count_in_words
from promise_seg.storage.object_stores import address_of
from promise_seg.vocabulary import OutputFormat, Slices

_OF_PARTS = frozenset({
    "output", "merge", "status", "parquet", "part", "ray", "run", "images", "log_file", "metrics", "metrics_host",
})  # fmt: skip
"""Options that --merge or --status accept, or refuse with a message of their own; all others are for predicting."""
_KeepEmptyFramesOption = Annotated[
    bool,
    option(
        "--keep-empty-frames",
        about="Keep empty frames in DICOM-SEG, for viewers that misplace segments without them.",
        panel=OUTPUT,
        show_default=False,
    ),
]


@paths_first
@with_groups(tiling=TILING, opening=OPENING.without("image_size"))
def predict(
    context: typer.Context,
    output: Annotated[
        Path, output_option("Folder or address for masks, overlays and predictions.csv.", may_be_address=True)
    ],
    *,
    run: TrainedPlaceArgument = None,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGES...",
            help="Images, volumes, DICOM files, folders of them, or a manifest, here or at addresses (s3://, gs://, "
            "https://); or an archive, dicomweb://HOST/PATH?Modality=CT.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        OutputFormat,
        choice(OutputFormat, "--format", about="auto: as the input, DICOM-SEG for DICOM", panel=OUTPUT),
    ] = OutputFormat.AUTO,
    names: Annotated[
        list[str] | None,
        option(
            "--name",
            metavar="NAME",
            about="Name of what is segmented, for formats that store names; LABEL=NAME for one of several.",
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
    axes: Annotated[
        str | None,
        option(
            "--axes",
            metavar="AXES",
            about="Slice volumes along several axes, such as axial,coronal,sagittal, and average the results.",
            panel=MODEL,
        ),
    ] = None,
    parquet: Annotated[
        bool,
        option(
            "--parquet",
            about="Also write predictions.parquet, next to predictions.csv.",
            panel=OUTPUT,
            show_default=False,
        ),
    ] = False,
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
    tiling: Values,
    part: PartOption = None,
    ray: RayOption = None,
    ray_cpus: RayCpusOption = 1,
    merge: Annotated[
        bool,
        option(
            "--merge",
            about="Make one table of the parts in -o, and say what is missing; needs no MODEL and no IMAGES.",
            panel=PARTS,
            show_default=False,
        ),
    ] = False,
    status: Annotated[
        bool,
        option(
            "--status",
            about="Show how far the parts in -o are, how fast, and which processes are at work; used like --merge.",
            panel=PARTS,
            show_default=False,
        ),
    ] = False,
    opening: Values,
) -> int:
    """Predict masks at the original size and geometry of the images; no ground truth is needed. The same command
    resumes an interrupted prediction."""
    quiet_libraries()
    if merge and status:
        raise SettingsError(
            "--status: cannot be combined with --merge, which also reports what is missing. Leave one of them out"
        )
    if merge or status:
        check_only(context, "--merge" if merge else "--status", _OF_PARTS)
    if merge:
        return _merge(output, part, ray, parquet)
    if status and parquet:
        raise SettingsError("--parquet: cannot be combined with --status, which writes nothing. Leave one of them out")
    if status:
        return print_status(output, part, ray)
    if run is None or not images:
        raise missing_argument(context, "MODEL" if run is None else "IMAGES...")
    from promise_seg.workflows import predicting

    print_unfinished(run)
    with stages_bar() as progress:
        outcome = predicting.predict_folder(
            run, images, output, output_format=output_format, names=names or (), instances=instances, slices=slices,
            axes=axes, keep_empty_frames=keep_empty_frames, every=every, part=part, ray=ray, ray_cpus=ray_cpus,
            send=send, to=to, parquet=parquet, progress=progress, note=lambda words: print_lines([words]), **tiling,
            **opening,
        )  # fmt: skip
    print_line(
        f"{outcome.predicted} predicted, {outcome.already_there} already there, in {address_of(output) or output}"
    )
    print_lines(outcome.notes)
    for problem in outcome.problems:
        print(f"promise: error: {problem}", file=sys.stderr)
    return 2 if outcome.problems else 0


def _merge(output: Path, part: str | None, ray: str | None, parquet: bool) -> int:
    """Merge the parts in a folder into one table, and print how many images are missing or failed."""
    from promise_seg.workflows.predicting import merge_predictions

    if part is not None or ray is not None:
        given = "--ray" if part is None else f"--part {part}"
        raise SettingsError(
            f"{given}: cannot be combined with --merge. Predict all parts first, then run promise predict --merge"
        )
    with stages_bar() as progress:
        merged = merge_predictions(output, parquet=parquet, progress=progress)
    shown = address_of(output) or output
    images, lines = count_in_words(merged.images, "image"), count_in_words(merged.lines, "line")
    print_line(f"{images} in {shown}/predictions.csv, {lines}")
    print_lines(merged.notes)
    if merged.repeated:
        print_lines(
            [f"the logs name {count_in_words(merged.repeated, 'image')} more than once; the table has each once"]
        )
    if merged.damaged:
        print_lines(
            [f"left out {count_in_words(merged.damaged, 'damaged line')} of the logs in {shown}/parts"], "warning"
        )
    if merged.is_complete:
        return 0
    print(
        f"promise: error: {shown}: {merged.missing:,} images are missing and {merged.failed:,} failed; "
        f"{merged.failures} names them. Run the same promise predict again; it predicts only these",
        file=sys.stderr,
    )
    return 2
