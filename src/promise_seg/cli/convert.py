"""The command ``promise convert``."""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import print_line, quiet_libraries
from promise_seg.cli.options import MODEL, OUTPUT, choice, option, output_option
from promise_seg.vocabulary import CheckpointFormat


def convert(
    source: Annotated[
        Path,
        typer.Argument(help="A .pt file of the published ProMISe code; with --to reference, a model of promise-seg."),
    ],
    output: Annotated[Path, output_option("Folder of the model; with --to reference, a .pt file.")],
    sam: Annotated[
        str | None,
        option(
            "--sam",
            metavar="SAM",
            about="The SAM that it was trained on; then only the differences are kept.",
            panel=MODEL,
        ),
    ] = None,
    to: Annotated[
        CheckpointFormat, choice(CheckpointFormat, "--to", about="A folder of promise-seg, or a .pt file", panel=OUTPUT)
    ] = CheckpointFormat.NATIVE,
) -> None:
    """Convert a checkpoint of the published ProMISe code to a promise-seg checkpoint, or the other way round."""
    quiet_libraries()
    from promise_seg.workflows import converting

    for line in converting.convert(source, output, sam=sam, to=to):
        print_line(line)
