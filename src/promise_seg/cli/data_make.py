"""The command ``promise data make``."""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import print_line, print_lines, stages_bar
from promise_seg.cli.options import no_address
from promise_seg.vocabulary import Several


def make(
    folder: Annotated[Path, typer.Argument(help="Folder with images and masks in one of the usual layouts.")],
    output: Annotated[Path, typer.Option("-o", "--output", callback=no_address, help="The manifest to write.")],
    images: Annotated[
        str | None,
        typer.Option(
            help="Pattern of the images' paths below FOLDER, such as 'photos/*.jpg' or '{case}/ct.nii.gz'. What * "
            "or {word} stands for must be the same in the mask's path. ** stands for any folders; without a slash, the "
            "pattern is looked for in every folder.",
            metavar="PATTERN",
        ),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            help="Pattern of the masks' paths, such as 'drawn/*_by_anna.png'. A wildcard more than in --images tells "
            "several masks of one image apart, as * does in 'organs/{case}_*.png'.",
            metavar="PATTERN",
        ),
    ] = None,
    several: Annotated[
        Several,
        typer.Option(
            help="What several masks of one image become: one mask, or a map of instances or classes (mask, instances, "
            "classes). auto makes classes of masks that are called after classes, and one mask of numbered ones.",
            metavar="KIND",
        ),
    ] = Several.AUTO,
    group: Annotated[
        str | None,
        typer.Option(
            help="Regular expression with one group, searched in each image's stem or else its path: what it finds, "
            r"such as a patient, is never divided. Example: '^(patient\d+)_'."
        ),
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, help="Use every Nth frame of videos, as neighbours look alike.", metavar="N")
    ] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing manifest that has other content.")
    ] = False,
) -> None:
    """Pair images and masks by name and write a manifest. Files that could not be paired are listed."""
    from promise_seg.curation.pairing.making import make_manifest

    with stages_bar() as progress:
        made = make_manifest(
            folder, output, images=images, masks=masks, several=several, group=group, every=every, force=force,
            progress=progress,
        )  # fmt: skip
    for line in made.lines:
        print(line)
    print_lines(made.warnings, "warning")
    for line in made.advice:
        print_line(line)
