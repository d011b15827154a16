"""``promise data make``"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import console, stages_bar

if TYPE_CHECKING:
    from promise_seg.curation.pairing.folders import Pairing
    from promise_seg.curation.pairing.merging import Merging


def make(
    folder: Annotated[Path, typer.Argument(help="Folder with images and masks in one of the usual layouts.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write.")],
    group: Annotated[
        str | None,
        typer.Option(
            help="Regular expression with one group, searched in each image's stem or else its path: what it finds, "
            r"such as a patient, is never divided. Example: '^(patient\d+)_'."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing manifest.")] = False,
) -> None:
    """Pair images and masks by name and write the manifest; list what could not be paired."""
    from promise_seg.curation.pairing.folders import pair_folder
    from promise_seg.curation.pairing.groups import group_pattern, groups_of
    from promise_seg.curation.pairing.scanning import MERGED
    from promise_seg.curation.pairing.writing import pairs_table
    from promise_seg.dataset.manifest_writing import refuse_existing

    refuse_existing([output], force=force)
    pattern = group_pattern(group) if group is not None else None
    pairing = pair_folder(folder)
    if pattern:
        groups = groups_of(pairing.pairs, pattern, folder)
        pairing.pairs = [replace(pair, group=group) for pair, group in zip(pairing.pairs, groups, strict=True)]
    into = output.with_name(output.stem + MERGED)
    merging = _merge(pairing, into) if any(pair.objects for pair in pairing.pairs) else None
    pairs_table(pairing.pairs, output).write()

    counts = pairing.counts()
    print(f"layout: {pairing.layout}")
    print("pairs: " + ", ".join(f"{split} {count}" for split, count in counts.items()))
    if named := [pair.group for pair in pairing.pairs if pair.group]:
        print(f"groups: {len(set(named))}, for example {named[0]}")
    if merging:
        print(
            f"merged: {merging.objects} masks of single objects into {merging.made + merging.kept} instance maps "
            f"({merging.kept} of them were there already) in {into}. Read this manifest with --instances"
        )
    print(f"written: {output}")
    for line in pairing.remarks() + (merging.remarks() if merging else []):
        console.print(f"warning: {line}", markup=False)
    if not pairing.knows_splits:
        console.print(
            "the folders say nothing of splits, so all rows are train. "
            f"Divide them: promise data split {output} -o {output.with_name(output.stem + '_split.csv')}",
            markup=False,
        )


def _merge(pairing: "Pairing", into: Path) -> "Merging":
    """Merge masks of single objects into instance maps."""
    from promise_seg.curation.pairing.merging import merge_objects

    with stages_bar() as progress:
        merging = merge_objects(pairing.pairs, pairing.folder, into, progress)
    pairing.pairs = merging.pairs
    return merging
