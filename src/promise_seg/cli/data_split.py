"""``promise data split``"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import console, print_table, stages_bar
from promise_seg.cli.options import output_option, with_reading
from promise_seg.dataset.manifest import DEFAULT_VAL_SHARE
from promise_seg.errors import ImageError, SettingsError

if TYPE_CHECKING:
    from promise_seg.dataset.manifest import Row
    from promise_seg.dataset.splitting import ForegroundShare
    from promise_seg.images.reading import Reading, ReadingOptions
    from promise_seg.vocabulary import Split


@with_reading(only=("axis", "label", "instances", "mask_threshold"))
def split(
    manifest: Annotated[Path, typer.Argument(help="The manifest to split.")],
    output: Annotated[Path, output_option("The manifest to write.")],
    reading: "ReadingOptions",
    val: Annotated[float | None, typer.Option(help=f"Share of the rows for val; default {DEFAULT_VAL_SHARE}.")] = None,
    test: Annotated[
        float | None, typer.Option(help=f"Share of the rows for test; default {DEFAULT_VAL_SHARE}.")
    ] = None,
    keep_test: Annotated[
        bool, typer.Option("--keep-test", help="Leave test rows as they are; --val is then a share of the other rows.")
    ] = False,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Write cross-validation folds OUTPUT_fold0.csv ...: each row that is not test is val in one of them."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the assignment.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Assign every row to a split: groups stay whole, and splits have objects of similar sizes."""
    if keep_test and test is not None:
        raise SettingsError("--test and --keep-test: give one of them")
    if folds is not None and val is not None:
        raise SettingsError("--val and --folds: give one of them; each of K folds has 1/K of the rows as val")

    from promise_seg.dataset.manifest import of_split, read_manifest
    from promise_seg.dataset.manifest_writing import ManifestTable, refuse_existing
    from promise_seg.dataset.splitting import fold_rows, split_rows
    from promise_seg.vocabulary import Split

    names = [output]
    if folds is not None:
        names = [output.with_name(f"{output.stem}_fold{fold}{output.suffix}") for fold in range(folds)]
    how = reading.applied_to()
    refuse_existing(names, force=force)
    rows = _grouped(read_manifest(manifest))
    table = ManifestTable.read(manifest)
    sizes: dict[str, float] = {}

    def size(row: "Row") -> float:
        if not sizes:  # not before the settings were checked
            sizes.update(_object_sizes(rows, how))
        return sizes[row.where]

    val_share = DEFAULT_VAL_SHARE if val is None else val
    test_share = DEFAULT_VAL_SHARE if test is None else test
    if folds is None:
        divided = [split_rows(rows, size, val=val_share, test=test_share, keep_test=keep_test, seed=seed)]
    else:
        divided = fold_rows(rows, size, folds=folds, test=test_share, keep_test=keep_test, seed=seed)
    for name, new_rows in zip(names, divided, strict=True):
        table.with_splits({row.where: row.split for row in new_rows}).moved_to(name).write()

    _print_summary(divided, size, names)
    old_test = len(of_split(rows, Split.TEST))
    if keep_test and not old_test:
        console.print(f"warning: {manifest} has no test rows to keep", markup=False)
    if old_test and not keep_test:
        console.print(f"{old_test} row(s) were test before and were dealt anew; --keep-test leaves them as they are")
    if folds is None:
        shares = {Split.VAL: val_share, Split.TEST: 0.0 if keep_test else test_share}
        _warn_of_shares([row for row in divided[0] if not keep_test or row.split != Split.TEST], shares)


def _grouped(rows: "list[Row]") -> "list[Row]":
    """Group rows without a group by what DICOM files say of themselves, and say so, or that there are no groups."""
    from promise_seg.dataset.owners import grouped_by_owner

    grouped = grouped_by_owner(rows)
    named = {row.group for row in grouped if row.group != str(row.image)}
    if grouped != rows:
        console.print(
            "note: rows without a group were grouped by the patients, studies or series that their DICOM files name",
            markup=False,
        )
    if not named:
        console.print(
            "note: no row has a group, so each image is a group of its own. If several are of one patient or video, "
            "add a column group (promise data make --group)",
            markup=False,
        )
    return grouped


def _object_sizes(rows: "Sequence[Row]", reading: "Reading") -> dict[str, float]:
    """Return the share of foreground of each image, by the row's ``where``.

    Raises:
        ManifestError: with all masks that cannot be read.
    """
    from promise_seg.dataset.checks import check_row
    from promise_seg.dataset.manifest import raise_all
    from promise_seg.progress import counted

    sizes, problems = {}, []
    with stages_bar() as progress:
        for row in counted(rows, progress, "measuring masks"):
            try:
                slices = check_row(row, reading)
                pixels = sum(one.height * one.width for one in slices)
                sizes[row.where] = sum(one.foreground_pixels for one in slices) / pixels
            except ImageError as error:
                problems.append(str(error))
    raise_all(problems)
    return sizes


def _print_summary(divided: "Sequence[Sequence[Row]]", size: "ForegroundShare", names: Sequence[Path]) -> None:
    from promise_seg.dataset.splitting import summarise

    for name, rows in zip(names, divided, strict=True):
        lines = [
            (s.split, str(s.rows), str(s.groups), f"{s.mean_size:.2%}", str(s.empty)) for s in summarise(rows, size)
        ]
        print(f"written: {name}")
        print_table(("split", "rows", "groups", "mean object size", "empty masks"), lines)


def _warn_of_shares(rows: "Sequence[Row]", shares: "Mapping[Split, float]") -> None:
    """Report where whole groups did not allow the requested shares."""
    from promise_seg.dataset.dealing import TOLERANCE

    for name, wanted in shares.items():
        got = sum(row.split == name for row in rows) / len(rows)
        if abs(got - wanted) > TOLERANCE:
            console.print(
                f"warning: {name} has {got:.0%} of the rows, not {wanted:.0%}, as groups are never divided: there are "
                f"{len({row.group for row in rows})} groups of {len(rows)} rows"
            )
