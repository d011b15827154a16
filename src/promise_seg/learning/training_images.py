"""Record the images that a run was trained and validated on, to detect scores that are not on new images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from promise_seg.assessment.summary import SeenInTraining
from promise_seg.dataset.checks import CheckedRow
from promise_seg.learning.records import read_record
from promise_seg.storage.sealed import write_sealed
from promise_seg.vocabulary import Split

TRAINING_IMAGES_FILE = "training_images.json"


@dataclass(frozen=True)
class Seen:
    """Counts of images that a run knows: those it was trained on, and validation images that are now in another split.

    ``by_init`` counts those that only the model that it started from was trained on.
    """

    images: int
    trained_on: int
    chosen_on: int
    first: str | None
    by_init: int = 0

    def words(self) -> str | None:
        """Return the warning for a report, or ``None`` if all images are new."""
        parts = []
        if self.trained_on:
            init = f" ({self.by_init} of them by the model that training started from)" if self.by_init else ""
            parts.append(f"{self.trained_on} of these {self.images} images were trained on{init}")
        if self.chosen_on:
            parts.append(f"{self.chosen_on} of these {self.images} images are val rows of training under another split")
        return (
            None
            if not parts
            else f"{' and '.join(parts)} (first {self.first}): their scores do not measure performance on unseen images"
        )

    def for_summary(self) -> SeenInTraining:
        """Return the counts in the form for a summary."""
        return SeenInTraining(trained_on=self.trained_on, chosen_on=self.chosen_on, note=self.words())


class TrainingImages(BaseModel):
    """The ``training_images.json`` of a run: hashes of images as they were read, slice by slice (see
    :class:`~promise_seg.dataset.checks.CheckedRow`).

    Each set has the ``image_sha256`` and the ``rgb_sha256`` of its images. By the latter, which files of earlier
    versions lack, images are recognised that were saved again without loss.

    Args:
        train, val: images that the run was trained on, and those that its best epoch was chosen on.
        init_train, init_val: the same for the model that it started from and that model's predecessors; not in the file
            if it started from random weights.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: frozenset[str]
    val: frozenset[str]
    init_train: frozenset[str] = frozenset()
    init_val: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Sequence[CheckedRow], start: "TrainingImages | None" = None) -> Self:
        """Collect the train and val rows among some rows.

        Args:
            rows: the rows of the run.
            start: the images of the model that the run starts from, if they are known.
        """
        train, val = (
            frozenset().union(*(_hashes(row) for row in rows if row.row.split == split))
            for split in (Split.TRAIN, Split.VAL)
        )
        if start is None:
            return cls(train=train, val=val)
        return cls(train=train, val=val, init_train=start.all_train, init_val=start.val | start.init_val)

    @property
    def all_train(self) -> frozenset[str]:
        """The images that this run or a predecessor was trained on."""
        return self.train | self.init_train

    def trained_on(self, rows: Sequence[CheckedRow]) -> list[CheckedRow]:
        """Return the rows whose images this run or a predecessor was trained on, whatever their split is now.

        An image that was saved again without loss is recognised by its pixels, unless it was a ``val`` row of this run
        or a predecessor: a CSV may have the pixels of a train image in another file, with a warning, and its runs stay
        usable with it.
        """
        chosen_on = self.val | self.init_val
        return [
            row
            for row in rows
            if row.image_sha256 in self.all_train
            or (row.rgb_sha256 in self.all_train and row.image_sha256 not in chosen_on)
        ]

    def learned_from(self, rows: Sequence[CheckedRow]) -> list[CheckedRow]:
        """Return the rows whose images this run itself was trained on."""
        return [row for row in rows if row.image_sha256 in self.train]

    def seen(self, rows: Sequence[CheckedRow]) -> Seen:
        """Count the rows that are not new; rows that are still ``val`` rows may have been used for selection.

        Rows with the pixels of a known image are counted too, whatever their file.
        """
        trained, own = ([row for row in rows if _hashes(row) & known] for known in (self.all_train, self.train))
        chosen_on = self.val | (self.init_val - self.all_train)
        chosen = [row for row in rows if _hashes(row) & chosen_on and row.row.split != Split.VAL]
        first = next((row.name for row in [*trained, *chosen]), None)
        return Seen(len(rows), len(trained), len(chosen), first, len(trained) - len(own))


def _hashes(row: CheckedRow) -> frozenset[str]:
    """Return the hashes by which an image is recognised: that of its file and settings, and that of its pixels."""
    return frozenset({row.image_sha256, row.rgb_sha256} - {""})


def write_training_images(folder: Path, rows: Sequence[CheckedRow], start: TrainingImages | None = None) -> None:
    """Record next to a run the images that it is trained and selected on.

    Args:
        folder: the folder of the run.
        rows: the rows of the run.
        start: the images of the model that it starts from, if they are known.

    Raises:
        PromiseError: if the file cannot be written.
    """
    found = {name: sorted(images) for name, images in TrainingImages.of(rows, start)}
    kept = {name: images for name, images in found.items() if images or not name.startswith("init_")}
    write_sealed(folder / TRAINING_IMAGES_FILE, kept)


def read_training_images(folder: Path) -> TrainingImages | None:
    """Read what :func:`write_training_images` wrote; ``None`` if there is no such file, as with a model outside a run.

    Raises:
        CheckpointError: if it is damaged.
    """
    return read_record(folder / TRAINING_IMAGES_FILE, TrainingImages)
