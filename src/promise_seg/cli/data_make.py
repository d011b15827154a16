"""``promise data make``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import console


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
    """Pair images and masks by their names and write the manifest; says what could not be paired."""
    from promise_seg.data.manifest_writing import refuse_existing
    from promise_seg.data.pairing.folders import pair_folder
    from promise_seg.data.pairing.groups import group_pattern, groups_of
    from promise_seg.data.pairing.writing import pairs_table

    refuse_existing([output], force=force)
    pattern = group_pattern(group) if group is not None else None
    pairing = pair_folder(folder)
    groups = groups_of(pairing.pairs, pattern, folder) if pattern else None
    pairs_table(pairing.pairs, output, groups).write()

    counts = pairing.counts()
    print(f"layout: {pairing.layout}")
    print("pairs: " + ", ".join(f"{split} {count}" for split, count in counts.items()))
    if groups is not None:
        print(f"groups: {len(set(groups))}, for example {groups[0]}")
    print(f"written: {output}")
    for line in pairing.remarks():
        console.print(f"warning: {line}", markup=False)
    if not pairing.knows_splits:
        console.print(
            "the folders say nothing of splits, so all rows are train. "
            f"Divide them: promise data split {output} -o {output.with_name(output.stem + '_split.csv')}",
            markup=False,
        )
