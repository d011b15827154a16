"""The images that a run was trained and validated on, to recognise scores that are not on new images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from promise_seg.assessment.summary import SeenInTraining
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import CheckpointError
from promise_seg.files import write_json
from promise_seg.vocabulary import Split

TRAINING_IMAGES_FILE = "training_images.json"


@dataclass(frozen=True)
class Seen:
    """Counts of images that a run knows: those it was trained on, and validation images that are in another split."""

    images: int
    trained_on: int
    chosen_on: int
    first: str | None

    def words(self) -> str | None:
        """Return the warning of a report; ``None`` if all images are new."""
        parts = []
        if self.trained_on:
            parts.append(f"{self.trained_on} of these {self.images} images were trained on")
        if self.chosen_on:
            parts.append(f"{self.chosen_on} of these {self.images} images are val rows of training under another split")
        return (
            None if not parts else f"{' and '.join(parts)} (first {self.first}): their scores say little of new images"
        )

    def for_summary(self) -> SeenInTraining:
        """The same as a summary keeps it."""
        return SeenInTraining(trained_on=self.trained_on, chosen_on=self.chosen_on, note=self.words())


class TrainingImages(BaseModel):
    """``training_images.json`` of a run: hashes of images as they were read, slice by slice (see
    :class:`~promise_seg.dataset.checks.CheckedRow`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: frozenset[str]
    val: frozenset[str]

    @classmethod
    def of(cls, rows: Sequence[CheckedRow]) -> Self:
        """Create from the train and val rows among some rows."""
        train, val = (
            frozenset(row.image_sha256 for row in rows if row.row.split == split) for split in (Split.TRAIN, Split.VAL)
        )
        return cls(train=train, val=val)

    def trained_on(self, rows: Sequence[CheckedRow]) -> list[CheckedRow]:
        """Rows whose images were trained on, whatever their split says."""
        return [row for row in rows if row.image_sha256 in self.train]

    def seen(self, rows: Sequence[CheckedRow]) -> Seen:
        """Count the rows that are not new; rows that are still ``val`` rows may have been chosen on."""
        trained = self.trained_on(rows)
        chosen = [row for row in rows if row.image_sha256 in self.val and row.row.split != Split.VAL]
        first = next((row.name for row in [*trained, *chosen]), None)
        return Seen(len(rows), len(trained), len(chosen), first)


def write_training_images(folder: Path, rows: Sequence[CheckedRow]) -> None:
    """Note beside a run which images it learns from and is chosen on.

    Raises:
        PromiseError: if the file cannot be written.
    """
    found = TrainingImages.of(rows)
    write_json(folder / TRAINING_IMAGES_FILE, {"train": sorted(found.train), "val": sorted(found.val)})


def read_training_images(folder: Path) -> TrainingImages | None:
    """Read what :func:`write_training_images` wrote; ``None`` if there is no such file, as with a model alone.

    Raises:
        CheckpointError: if it is damaged.
    """
    path = folder / TRAINING_IMAGES_FILE
    if not path.exists():
        return None
    try:
        return TrainingImages.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointError(
            f"{path}: not as promise train writes it ({str(error).splitlines()[0]}). Restore it, or move it away to go "
            "on without it"
        ) from error
