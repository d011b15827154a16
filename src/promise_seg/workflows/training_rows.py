"""The rows that a model was trained with, for further learning from them, such as calibration."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.manifest import check_share, of_split, scan_manifest, split_off_validation
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.errors import SettingsError
from promise_seg.learning.run_note import RunNote
from promise_seg.learning.training_images import TrainingImages
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.vocabulary import Split
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.noting import Note, no_note

_LEARNED = frozenset({Split.TRAIN, Split.VAL})
"""The splits of the rows that a run learns from."""


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
    """Return a data set as in a model's training: read in the same way, and with the same val rows split off train.

    Args:
        data: a manifest, or a data set, which keeps its own way of reading and is only split.
        part: the place of the model, with the notes of its run.
        model: the loaded model.
        val_share: share of the train rows to validate on, if there are no val rows; by default as noted.
        seed: seed of that split; by default as noted.
        mask_threshold: grey levels of masks above it are foreground; by default as noted.
        split: the splits whose rows are needed.
        progress: called for each row.
        note: called with each warning about the rows.

    Raises:
        ManifestError: if the manifest cannot be read, or has too few groups to be split.
        CheckpointError: if the run's notes are damaged.
    """
    noted = part.note()
    share, seed = _share_and_seed(noted, val_share, seed)
    if isinstance(data, Dataset):
        found = data.with_validation(share, seed)
        images = part.training_images()
        return found if images is None else split_as_recorded(found, images, seed)
    if mask_threshold is None and noted is not None:
        mask_threshold = noted.mask_threshold

    def read(splits: str | Sequence[str]) -> Dataset:
        return Dataset.from_csv(
            data, like=model.config.reading, mask_threshold=mask_threshold, val_share=share, seed=seed,
            split=splits, progress=progress,
        )  # fmt: skip

    found = read(split)
    if found.val_share is not None and found.notes and (images := part.training_images()) is not None:
        wanted = {row.row.split for row in found}
        if not _fits(found, images):
            whole = found if wanted >= _LEARNED else read(tuple(_LEARNED))
            older = split_as_recorded(whole, images, seed)
            found = found if older is whole else replace(older, rows=tuple(r for r in older if r.row.split in wanted))
    for words in found.warnings:
        note(f"warning: {words}")
    for words in found.notes:
        note(f"note: {words}")
    return found


def split_as_recorded(data: Dataset, images: TrainingImages, seed: int) -> Dataset:
    """Return a data set with the val rows of a run of an earlier version, which did not read patients from DICOM files.

    The data set is returned unchanged unless the record of the run fits only the split of earlier versions.

    Args:
        data: all train and val rows of the manifest.
        images: the record of the run.
        seed: the seed of the run.
    """
    if _fits(data, images):
        return data
    older = data.with_validation_by_image(seed)
    return older if older is not data and _fits(older, images) else data


def _fits(data: Dataset, images: TrainingImages) -> bool:
    """Whether a run was trained on all train rows, and all val rows are val rows of the run."""
    are_val = all(row.image_sha256 in images.val for row in data.val)
    return are_val and len(images.learned_from(data.train)) == len(data.train)


def check_manifest_as_trained(
    data: Dataset | str | Path, part: ModelPart, *, val_share: float | None, seed: int | None
) -> None:
    """Check that a manifest has val rows, or that they can be split off its train rows, before files are read.

    Rows that cannot be used are reported later, together with their files. The arguments are those of
    :func:`data_as_trained`.

    Raises:
        ManifestError: if the manifest cannot be used as a whole, or has too few groups to be split.
        SettingsError: if the share is invalid.
        CheckpointError: if the run's notes are damaged.
    """
    share, seed = _share_and_seed(part.note(), val_share, seed)
    check_share(share)
    if isinstance(data, Dataset):
        return
    rows, problems = scan_manifest(data)
    if not problems and not of_split(rows, Split.VAL):
        split_off_validation(rows, share=share, seed=seed)


def _share_and_seed(note: RunNote | None, val_share: float | None, seed: int | None) -> tuple[float, int]:
    if val_share is None:
        val_share = note.val_share if note is not None else None
    if seed is None:
        seed = note.settings.seed if note is not None and note.settings is not None else 0
    return DEFAULT_VAL_SHARE if val_share is None else val_share, seed


def check_val_rows(val: Sequence[CheckedRow], data: str, part: ModelPart) -> None:
    """Check that a run was not trained on any of the val rows, which would make them useless for validation.

    Raises:
        SettingsError: if it was trained on some.
        CheckpointError: if the run's record of its images is damaged.
    """
    images = part.training_images()
    if images is None or not (known := images.trained_on(val)):
        return
    raise SettingsError(
        f"{data}: {part.run_folder} was trained on {len(known)} of the {len(val)} val rows (first {known[0].name}). "
        "Give rows that it was not trained on, or the CSV of training with the --val-share and --seed of training"
    )


def check_train_rows(train: Sequence[CheckedRow], data: str, part: ModelPart) -> None:
    """Check that a run was trained on all of the train rows, which represent the images that it knows.

    Raises:
        SettingsError: if it was not trained on some.
        CheckpointError: if the run's record of its images is damaged.
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
