"""The rows that a model was trained with, for commands that fit something else to them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from promise_seg.cli.options import DATA, option
from promise_seg.errors import SettingsError

if TYPE_CHECKING:
    from promise_seg.dataset.checks import CheckedRow
    from promise_seg.dataset.manifest import Row
    from promise_seg.learning.run_note import RunNote

ValShareOption = Annotated[
    float | None,
    option(
        "--val-share",
        min=0.01,
        max=0.9,
        metavar="SHARE",
        about="Share of the train rows to validate on, where there are no val rows; default: that of training.",
        panel=DATA,
    ),
]
SplitSeedOption = Annotated[
    int | None,
    option("--seed", min=0, about="Seed of that draw of val rows; default: that of training.", panel=DATA),
]


def split_as_trained(data: Path, note: "RunNote | None", val_share: float | None, seed: int | None) -> "list[Row]":
    """Return the rows of a manifest; without val rows, with those that training took from train.

    Args:
        data: the manifest.
        note: of the run, where there is one.
        val_share: of train; by default as noted.
        seed: of the draw; by default as noted.

    Raises:
        ManifestError: if the manifest cannot be read, or has too few groups to be split.
    """
    from promise_seg.dataset.manifest import DEFAULT_VAL_SHARE, of_split, read_manifest, split_off_validation
    from promise_seg.vocabulary import Split

    rows = read_manifest(data)
    if of_split(rows, Split.VAL):
        return rows
    if val_share is None:
        val_share = note.val_share if note is not None else None
    if seed is None:
        seed = note.settings.seed if note is not None and note.settings is not None else 0
    return split_off_validation(rows, share=DEFAULT_VAL_SHARE if val_share is None else val_share, seed=seed)


def threshold_as_trained(note: "RunNote | None", given: int | None) -> int | None:
    """Return the threshold of grey masks: as given, else as recorded."""
    return note.mask_threshold if given is None and note is not None else given


def check_val_rows(val: "Sequence[CheckedRow]", data: Path, run: Path) -> None:
    """Raise an error if a run was trained on val rows: they say nothing about new images.

    Raises:
        SettingsError: if there are any.
        CheckpointError: if what the run noted of its images is damaged.
    """
    from promise_seg.learning.training_images import read_training_images

    images = read_training_images(run)
    if images is None or not (known := images.trained_on(val)):
        return
    raise SettingsError(
        f"{data}: {run} was trained on {len(known)} of the {len(val)} val rows (first {known[0].name}). Give rows that "
        "it was not trained on, or the CSV of training with the --val-share and --seed of training"
    )


def check_train_rows(train: "Sequence[CheckedRow]", data: Path, run: Path) -> None:
    """Raise an error if a run was not trained on the train rows: they must represent what it knows.

    Raises:
        SettingsError: if there are any.
        CheckpointError: if what the run noted of its images is damaged.
    """
    from promise_seg.learning.training_images import read_training_images

    images = read_training_images(run)
    if images is None:
        return
    known = {id(row) for row in images.trained_on(train)}
    if others := [row for row in train if id(row) not in known]:
        raise SettingsError(
            f"{data}: {run} was not trained on {len(others)} of the {len(train)} train rows (first {others[0].name}). "
            "Give the CSV of training, with the --val-share and --seed of training"
        )
