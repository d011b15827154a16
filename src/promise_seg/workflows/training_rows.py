"""The rows that a model was trained with, for what learns more from them."""

from collections.abc import Sequence
from pathlib import Path

from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.errors import SettingsError
from promise_seg.learning.run_note import RunNote
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.vocabulary import Split
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.noting import Note, no_note


def data_as_trained(
    data: Dataset | str | Path,
    part: ModelPart,
    model: PromiseModel,
    *,
    val_share: float | None = None,
    seed: int | None = None,
    mask_threshold: float | None = None,
    split: str | Sequence[str] = (Split.TRAIN, Split.VAL),
    progress: Progress = silent,
    note: Note = no_note,
) -> Dataset:
    """Return a data set as a model was trained with it: read so, and with the val rows that training took off train.

    Args:
        data: a manifest; a data set is taken as it is read, and its rows are split.
        part: the model's place, with its run's notes.
        model: the same, opened.
        val_share: of the train rows, where there are no val rows; by default as noted.
        seed: of that choice; by default as noted.
        mask_threshold: of grey masks; by default as noted.
        split: whose rows are needed.
        progress: told of each row.
        note: told what is odd about the rows, a line each.

    Raises:
        ManifestError: if it cannot be read, or has too few groups to be split.
        CheckpointError: if the run's notes are damaged.
    """
    noted = part.note()
    share, seed = _share_and_seed(noted, val_share, seed)
    if isinstance(data, Dataset):
        return data.with_validation(share, seed)
    if mask_threshold is None and noted is not None:
        mask_threshold = noted.mask_threshold
    found = Dataset.from_csv(
        data, like=model.config.reading, mask_threshold=mask_threshold, val_share=share, seed=seed,
        split=split, progress=progress,
    )  # fmt: skip
    for words in found.warnings:
        note(f"warning: {words}")
    return found


def _share_and_seed(note: RunNote | None, val_share: float | None, seed: int | None) -> tuple[float, int]:
    if val_share is None:
        val_share = note.val_share if note is not None else None
    if seed is None:
        seed = note.settings.seed if note is not None and note.settings is not None else 0
    return DEFAULT_VAL_SHARE if val_share is None else val_share, seed


def check_val_rows(val: Sequence[CheckedRow], data: str, part: ModelPart) -> None:
    """Refuse val rows that a run was trained on: nothing can be learned from them of new images.

    Raises:
        SettingsError: if there are any.
        CheckpointError: if what the run noted of its images is damaged.
    """
    images = part.training_images()
    if images is None or not (known := images.trained_on(val)):
        return
    raise SettingsError(
        f"{data}: {part.run_folder} was trained on {len(known)} of the {len(val)} val rows (first {known[0].name}). "
        "Give rows that it was not trained on, or the CSV of training with the --val-share and --seed of training"
    )


def check_train_rows(train: Sequence[CheckedRow], data: str, part: ModelPart) -> None:
    """Refuse train rows that a run was not trained on: they are to tell what it knows.

    Raises:
        SettingsError: if there are any.
        CheckpointError: if what the run noted of its images is damaged.
    """
    images = part.training_images()
    if images is None:
        return
    known = {id(row) for row in images.learned_from(train)}
    if others := [row for row in train if id(row) not in known]:
        raise SettingsError(
            f"{data}: {part.run_folder} was not trained on {len(others)} of the {len(train)} train rows (first "
            f"{others[0].name}). Give the CSV of training, with the --val-share and --seed of training"
        )
