"""The command ``promise bench``."""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import print_line, print_table, quiet_libraries, stages_bar
from promise_seg.cli.options import (
    COMPUTING,
    MODEL,
    TRAINING,
    DeviceOption,
    EncoderPrecisionOption,
    ImageSizeOption,
    SamOption,
    choice,
    option,
    output_option,
)
from promise_seg.vocabulary import ApmKind, Precision, Variant


def bench(
    sam: SamOption = "nano",
    image_size: ImageSizeOption = None,
    variant: Annotated[Variant | None, choice(Variant, "--variant", about="What is trained", panel=MODEL)] = None,
    apm: Annotated[ApmKind | None, choice(ApmKind, "--apm", about="The auto-prompter", panel=MODEL)] = None,
    images: Annotated[int, option("--images", min=2, about="Images to encode and to train on.", panel=TRAINING)] = 8,
    batch_size: Annotated[int, option("--batch-size", min=1, about="Images of a step.", panel=TRAINING)] = 4,
    precision: Annotated[
        Precision, choice(Precision, "--precision", about="Precision of training", panel=COMPUTING)
    ] = Precision.NO,
    encoder_precision: EncoderPrecisionOption = None,
    clicks: Annotated[int, option("--clicks", min=1, about="Clicks to answer.", panel=COMPUTING)] = 30,
    device: DeviceOption = "auto",
    output: Annotated[Path | None, output_option("JSON file for the results.")] = None,
) -> None:
    """Measure how long a SAM takes on this machine to encode an image, to answer a click and to train. The images are
    drawn scenes."""
    quiet_libraries()
    from promise_seg.workflows import timing

    with stages_bar() as progress:
        found = timing.bench(
            sam, image_size=image_size, variant=variant, apm=apm, images=images, batch_size=batch_size, clicks=clicks,
            precision=precision, encoder_precision=encoder_precision, device=device, output=output, progress=progress,
        )  # fmt: skip
    head = ("work", "times", "median", "95th percentile")
    rows = [(one.work, str(len(one.seconds)), _words(one.at(50)), _words(one.at(95))) for one in found.timings]
    print_table(head, rows, f"{found.sam} at {found.image_size} px, {found.variant}")
    typer.echo(f"on {found.hardware}")
    for path in found.files:
        print_line(f"written: {path}")


def _words(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
