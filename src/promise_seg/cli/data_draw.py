"""The command ``promise data draw``."""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import stages_bar
from promise_seg.cli.options import output_option


def draw(
    output: Annotated[Path, output_option("Folder for images, masks and manifest.csv.")],
    train: Annotated[int, typer.Option(min=0, help="Number of images to train on.")] = 200,
    val: Annotated[int, typer.Option(min=0, help="Number of images for validation.")] = 40,
    test: Annotated[int, typer.Option(min=0, help="Number of test images.")] = 60,
    side: Annotated[int, typer.Option(min=32, help="Side of the square images, in pixels.")] = 256,
    kinds: Annotated[
        str,
        typer.Option(
            help="Kinds of scenes to draw in turn, separated by commas: lesion, mucosa, cells and section imitate "
            "medical images, layers is made of shapes of any kind.",
            metavar="KINDS",
        ),
    ] = "lesion,mucosa,cells,section",
    instances: Annotated[
        bool, typer.Option("--instances", help="Write instance maps instead of masks of all objects together.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the scenes.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a manifest, and leave scenes of other settings.")
    ] = False,
) -> None:
    """Draw a data set of synthetic scenes, to try, test or pre-train without real images. The same command resumes
    after an interruption."""
    from promise_seg.scenes.data_set import draw_data_set

    with stages_bar() as progress:
        manifest = draw_data_set(
            output, train=train, val=val, test=test, side=side, instances=instances, seed=seed, force=force,
            kinds=tuple(one.strip() for one in kinds.split(",")) if kinds else (), progress=progress,
        )  # fmt: skip
    print(f"written: {manifest}")
