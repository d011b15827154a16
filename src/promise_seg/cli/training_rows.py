"""The rows that a model was trained with, for the commands that learn more from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.errors import SettingsError

if TYPE_CHECKING:
    from promise_seg.data.checks import CheckedRow
    from promise_seg.data.manifest import Row
    from promise_seg.learning.run_note import RunNote

DEFAULT_VAL_SHARE = 0.15
ValShareOption = Annotated[
    float | None,
    typer.Option(
        "--val-share", min=0.01, max=0.9, help="Of train, where there are no val rows; default: that of training."
    ),
]
SplitSeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Of that draw of val rows; default: that of training."),
]


def split_as_trained(data: Path, note: "RunNote | None", val_share: float | None, seed: int | None) -> "list[Row]":
    """The rows of a manifest; where there are no val rows, with those that training took off train.

    Args:
        data: the manifest.
        note: of the run, where there is one.
        val_share: of train; by default as noted.
        seed: of the draw; by default as noted.

    Raises:
        ManifestError: if the manifest cannot be read, or has too few groups to be split.
    """
    from promise_seg.data.manifest import Split, of_split, read_manifest, split_off_validation

    rows = read_manifest(data)
    if of_split(rows, Split.VAL):
        return rows
    if val_share is None:
        val_share = note.val_share if note is not None else None
    if seed is None:
        seed = note.settings.seed if note is not None and note.settings is not None else 0
    return split_off_validation(rows, share=DEFAULT_VAL_SHARE if val_share is None else val_share, seed=seed)


def threshold_as_trained(note: "RunNote | None", given: int | None) -> int | None:
    """Of grey masks: as given, or else as noted."""
    return note.mask_threshold if given is None and note is not None else given


def check_trained_with(rows: "Sequence[CheckedRow]", note: "RunNote | None", data: Path, run: Path) -> None:
    """Refuse train and val rows, in this order, that are not those of training; where nothing is noted, nothing.

    Raises:
        SettingsError: if there are others.
    """
    from promise_seg.data.checks import data_sha256

    found = data_sha256(rows)
    if note is None or note.data_sha256 in (None, found):
        return
    raise SettingsError(
        f"{data}: its train and val rows (sha256 {found[:12]}) are not those that {run} was trained with (sha256 "
        f"{note.data_sha256[:12]}): among the val rows might be some that it was trained on. Give the CSV of training "
        "as it was, with the --val-share, --seed and --mask-threshold of training"
    )
