"""Rounds of training in the project's folder: images, training run, and scores of the new model."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.results import ManifestEntry, manifest_text, storing
from promise_seg.annotator.roles import Role
from promise_seg.errors import PromiseError, first_line
from promise_seg.storage.files import write_text
from promise_seg.storage.sealed import read_sealed, write_sealed
from promise_seg.vocabulary import Split

LEARNING = "learning"
TRAIN, HELD_OUT = "train.csv", "held-out.csv"
_JOB, _RESULT = "job.json", "result.json"
_UP = "../../"
"""The relative path from a round's folder to the project's folder."""


@dataclass(frozen=True)
class Job:
    """The options of one round.

    Args:
        model: the name of the model that training starts from.
        given: the hash of the model that the user gave and that ``model`` was trained from, directly or indirectly.
        sam: the SAM of that model, if it was moved since training; for a bare SAM, the SAM to use.
        image_size: the side of the input of a bare SAM, in pixels; ``None`` for the default of training.
        classes: the classes of label maps, as for ``promise train --class``; ``None`` for plain masks.
        labels: the labels of the project's classes.
        device: the device to train on.
        store: the folder of stored features; ``None`` for the user's.
        images: the number of accepted images.
        options: other options of training, such as ``epochs``.
        always_segment: whether the model is used with ``--always-segment``.
        edited: the slices in which a person edited or drew the mask, for each held-out mask by its path; ``None`` in
            rounds of earlier versions.
        instances: whether masks are instance maps.
    """

    model: str
    given: str
    sam: str | None
    image_size: int | None
    classes: str | None
    labels: tuple[int, ...]
    device: str
    store: str | None
    images: int
    options: Mapping[str, Any] = field(default_factory=dict)
    always_segment: bool = False
    edited: Mapping[str, Sequence[int]] | None = None
    instances: bool = False


@dataclass(frozen=True)
class HeldOutScores:
    """The scores of the new model and of the model before on the held-out images.

    Masks that are proposals of the model before, accepted unchanged, give this model a Dice of 1. The scores on the
    edited masks show the difference without them; in rounds of earlier versions they are ``None``, as is ``slices``,
    and ``images`` is then the number of images and slices.

    Args:
        before, after: the mean Dice of the model before and of the new model, 0 to 1.
        images, groups: the numbers of images, and of groups, that were held out.
        trained: the number of images and slices that were used for training.
        accepted: the number of accepted images.
        slices: the number of images and slices that were held out and scored.
        edited: the number of these whose masks a person edited or drew.
        before_edited, after_edited: the mean Dice on these, 0 to 1; ``None`` if there are none.
    """

    before: float
    after: float
    images: int
    groups: int
    trained: int
    accepted: int
    slices: int | None = None
    edited: int | None = None
    before_edited: float | None = None
    after_edited: float | None = None

    @property
    def is_better(self) -> bool:
        """Whether the new model is better and replaces the one before."""
        return self.after > self.before

    def as_json(self) -> dict[str, Any]:
        """Return the scores as JSON for clients, see docs/annotator-api.md."""
        return asdict(self) | {"better": self.is_better}


@dataclass(frozen=True)
class Round:
    """The folder of one round of training."""

    folder: Path

    @classmethod
    def all_of(cls, project: Path) -> list[Self]:
        """Return the rounds that were begun in a project, the newest last; other folders are ignored."""
        found = [path.parent for path in (project / LEARNING).glob(f"*/{_JOB}") if path.parent.name.isdecimal()]
        return [cls(folder) for folder in sorted(found, key=lambda folder: int(folder.name))]

    @classmethod
    def new(
        cls, project: Path, job: Job, images: Iterable[tuple[ManifestEntry, Role]], used: Iterable[str] = ()
    ) -> Self:
        """Create a round. Masks are copied, because images may be accepted again while the round runs.

        Args:
            project: the folder of the project.
            job: the options of the round.
            images: the entries of all images of the round, with their roles.
            used: the runs of earlier rounds, whose numbers are not used again even if their folders are gone.

        Raises:
            Refusal: if the round cannot be written, or a mask was removed meanwhile.
        """
        names = [one.name for one in (project / LEARNING).glob("*")] + [Path(name).parent.name for name in used]
        numbers = [int(name) for name in names if name.isdecimal()]
        made = cls(project / LEARNING / f"{max(numbers, default=0) + 1:03}")
        with storing():
            made._fill(project, list(images))
            write_sealed(made.folder / _JOB, asdict(job))  # written last, because this file makes the folder a round
        return made

    def _fill(self, project: Path, images: Sequence[tuple[ManifestEntry, Role]]) -> None:
        rows: dict[str, list[ManifestEntry]] = {TRAIN: [], HELD_OUT: []}
        for one, role in images:
            split = Split.TRAIN if role == Role.TRAIN else Split.VAL
            image = one.image if Path(one.image).is_absolute() else f"{_UP}{one.image}"
            group = f"{_UP}{one.group}" if one.group == one.image else one.group
            rows[HELD_OUT if role == Role.HELD_OUT else TRAIN].append(
                replace(one, image=image, group=group, split=str(split), mask=self._copied(project, one.mask))
            )
        for name, listed in rows.items():
            write_text(self.folder / name, manifest_text(listed))

    def _copied(self, project: Path, mask: str) -> str:
        source, target = project / mask, self.folder / mask
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, target)
        except OSError as error:
            if not source.exists():
                raise Refusal(
                    409, "changed", "An image was reopened while training was being prepared. Start the training again"
                ) from error
            raise PromiseError(f"{target}: cannot be written: {error.strerror or error}") from error
        return mask

    @property
    def run(self) -> Path:
        """The folder of the training run."""
        return self.folder / "run"

    @property
    def log(self) -> Path:
        """The file with the log output of the training process."""
        return self.folder / "log.txt"

    @property
    def name(self) -> str:
        """The path of the training run, relative to the project's folder."""
        return f"{LEARNING}/{self.folder.name}/run"

    def job(self) -> Job:
        """Return the options of the round.

        Raises:
            PromiseError: if the options cannot be read.
        """
        try:
            found = {name: value for name, value in read_sealed(self.folder / _JOB).items() if name in _FIELDS}
            return Job(**found | {"labels": tuple(found["labels"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PromiseError(f"{self.folder / _JOB}: cannot be read: {first_line(error)}. Train anew") from error

    def write_result(self, result: HeldOutScores) -> None:
        """Write the result of the round."""
        write_sealed(self.folder / _RESULT, asdict(result))

    def result(self) -> HeldOutScores | None:
        """Return the result of the round; ``None`` if the round has not ended or the result cannot be read."""
        try:
            return HeldOutScores(**read_sealed(self.folder / _RESULT))
        except (OSError, ValueError, TypeError):
            return None


_FIELDS = tuple(Job.__dataclass_fields__)
