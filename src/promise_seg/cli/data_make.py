"""``promise data make``"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import console, stages_bar
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import Several

if TYPE_CHECKING:
    from promise_seg.curation.pairing.folders import Pairing
    from promise_seg.curation.pairing.merging import Merging


def make(
    folder: Annotated[Path, typer.Argument(help="Folder with images and masks in one of the usual layouts.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write.")],
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
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing manifest.")] = False,
) -> None:
    """Pair images and masks by name and write the manifest; list what could not be paired."""
    if (images is None) != (masks is None):
        raise SettingsError("--images and --masks: give both of them, or neither")
    from promise_seg.curation.pairing.folders import pair_by_patterns, pair_folder
    from promise_seg.curation.pairing.groups import group_pattern, groups_of, with_groups
    from promise_seg.curation.pairing.writing import pairs_table
    from promise_seg.dataset.manifest_writing import write_new
    from promise_seg.images.own_folders import MERGED

    pattern = group_pattern(group) if group is not None else None
    pairing = pair_folder(folder) if images is None or masks is None else pair_by_patterns(folder, images, masks)
    by = ""
    if pattern:
        groups = groups_of(pairing.pairs, pattern, folder)
        pairing.pairs = [replace(pair, group=group) for pair, group in zip(pairing.pairs, groups, strict=True)]
    else:
        grouping = with_groups(pairing.pairs, folder)
        pairing.pairs, by = grouping.pairs, grouping.by
    into = output.with_name(output.stem + MERGED)
    merging = None
    if any(pair.objects for pair in pairing.pairs):
        merging = _merge(pairing, into, several, writing=force or not output.exists())
    write_new([pairs_table(pairing.pairs, output, every)], force=force)
    _print_outcome(pairing, merging, output, by)


def _print_outcome(pairing: "Pairing", merging: "Merging | None", output: Path, by: str) -> None:
    """Print what was paired and merged, and what was left out; ``by`` what the images were grouped, if we did it."""
    from promise_seg.curation.pairing.groups import no_groups_note
    from promise_seg.images.own_folders import MERGED

    pairing.texts = [path for path in pairing.texts if path.resolve() != output.resolve()]  # of an earlier call
    counts = pairing.counts()
    print(f"layout: {pairing.layout}")
    print("pairs: " + ", ".join(f"{split} {count}" for split, count in counts.items()))
    if named := [pair.group for pair in pairing.pairs if pair.group]:
        print(f"groups: {len(set(named))}, for example {named[0]}{f' ({by})' if by else ''}")
    if pairing.channels:
        print(pairing.channels.words(pairing.folder))
    if merging:
        print(_merged(merging, output.with_name(output.stem + MERGED)))
    print(f"written: {output}")
    of_channels = pairing.channels.remarks() if pairing.channels else []
    for line in pairing.remarks() + of_channels + (merging.remarks() if merging else []):
        console.print(f"warning: {line}", markup=False)
    if not named and len(pairing.pairs) > 1:
        console.print(no_groups_note(pairing.pairs), markup=False)
    if not pairing.knows_splits:
        console.print(
            "the folders say nothing of splits, so all rows are train. "
            f"Divide them: promise data split {output} -o {output.with_name(output.stem + '_split.csv')}",
            markup=False,
        )


def _merged(merging: "Merging", into: Path) -> str:
    """Say what became of several masks of an image."""
    maps, kept = merging.made + merging.kept, f"({merging.kept} of them were there already) in {into}"
    if merging.how == Several.INSTANCES:
        return (
            f"merged: {merging.objects} masks of single objects into {maps} instance maps {kept}. Read this manifest "
            "with --instances"
        )
    if merging.how == Several.CLASSES:
        classes = ", ".join(f"{number} {name}" for number, name in enumerate(merging.classes, 1))
        return (
            f"merged: {merging.objects} masks of classes into {maps} label maps {kept}. Read this manifest with "
            f"--class. The classes are: {classes} (also in {into / 'classes.json'})"
        )
    return (
        f"merged: {merging.objects} masks into {maps} masks of one structure each {kept}. To tell the objects apart, "
        "pass --several instances"
    )


def _merge(pairing: "Pairing", into: Path, several: Several, *, writing: bool) -> "Merging":
    """Merge several masks of an image into one; without writing, take those that an earlier call merged."""
    from promise_seg.curation.pairing.merging import merge_objects

    with stages_bar() as progress:
        merging = merge_objects(pairing.pairs, pairing.folder, into, progress, several, writing=writing)
    pairing.pairs = merging.pairs
    return merging
