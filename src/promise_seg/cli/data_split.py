"""The command ``promise data split``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import print_line, print_table, stages_bar
from promise_seg.cli.groups import with_groups
from promise_seg.cli.options import output_option
from promise_seg.cli.reading_options import READING
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promise_seg.dataset.splitting import SplitSummary
    from promise_seg.images.reading import ReadingOptions


@with_groups(reading=READING.only("channels", "axis", "label", "instances", "mask_threshold"))
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
    near_duplicates: Annotated[
        bool,
        typer.Option(
            "--near-duplicates/--no-near-duplicates",
            help="Keep images that look the same in one split, even if their groups differ.",
        ),
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files that have other content.")] = False,
) -> None:
    """Assign every row of a manifest to a split. Groups and near-duplicates are never divided, and objects have
    similar sizes in all splits."""
    from promise_seg.curation.splitting import Shares, divide_manifest

    shares = Shares(val, test, keep_test, folds, seed)
    shares.check()
    found = divide_manifest(
        manifest, output, shares, reading.applied_to(),
        near_duplicates=near_duplicates, force=force, bar=stages_bar, note=print_line,
    )  # fmt: skip
    for name, splits in found.files.items():
        print(f"{found.outcomes[name]}: {name}")
        head, lines = _table(splits)
        print_table(head, lines)
    for line in found.notes:
        print_line(line)


def _table(splits: "Sequence[SplitSummary]") -> tuple[list[str], list[list[str]]]:
    """Return the head and the lines of a table of splits; objects are counted for instance maps."""
    head = ["split", "rows", "groups", "mean foreground share", "empty masks"]
    lines = [[str(s.split), str(s.rows), str(s.groups), f"{s.mean_size:.2%}", str(s.empty)] for s in splits]
    if any(s.objects_per_image is not None for s in splits):
        head += ["objects per image", "median object in px"]
        for line, one in zip(lines, splits, strict=True):
            line += [
                "" if value is None else f"{value:.{digits}f}"
                for value, digits in ((one.objects_per_image, 1), (one.object_pixels, 0))
            ]
    return head, lines
