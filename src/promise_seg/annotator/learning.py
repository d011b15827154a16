"""Training on accepted images: when it is offered, which images are used, and which model is used afterwards."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from promise_seg.annotator.catalogue import Catalogue
from promise_seg.annotator.database import Database
from promise_seg.annotator.lineage import KnownModel, Lineage, identities_of, identity_of
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.results import ManifestEntry
from promise_seg.annotator.roles import Role, Roles
from promise_seg.annotator.rounds import Job, Round
from promise_seg.annotator.seen import Seen
from promise_seg.annotator.segmenter import models_of
from promise_seg.annotator.training import COMMAND, Training, TrainingState
from promise_seg.errors import PromiseError
from promise_seg.vocabulary import Split
from promise_seg.workflows.model_ref import BARE
from promise_seg.workflows.models import AnyModel, load

_LOG = logging.getLogger(__name__)
DEFAULT_AFTER = 20
"""The default number of newly accepted images after which training is offered."""


@dataclass(frozen=True)
class LearningOptions:
    """The user's options of training on accepted images.

    Args:
        after: the number of newly accepted images after which training is offered; 0 for never.
        sam: the SAM of the model, if it was moved since training; for ``bare``, the SAM to use.
        image_size: the side of the input of a bare SAM, in pixels.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        always_segment: whether the model is used with ``--always-segment``.
        training: other options of training, such as ``epochs``.
        command: the command line of the training process, without its last argument, the folder of the round.
    """

    after: int = DEFAULT_AFTER
    sam: str | None = None
    image_size: int | None = None
    device: str = "auto"
    always_segment: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    command: Sequence[str] = COMMAND

    def opened(self, folder: Path) -> AnyModel:
        """Load the model whose training run is in a folder."""
        return load(folder, sam=self.sam, device=self.device, always_segment=self.always_segment)


class Accepted(Protocol):
    """A function that returns the numbers and entries of accepted images for training, in the order of acceptance.

    With ``by_owner``, images without a group are grouped by the patients of their DICOM files, which are read.
    """

    def __call__(self, *, by_owner: bool = False) -> list[tuple[int, ManifestEntry]]: ...


class Learning:
    """The rounds of training in a project, and the model in use.

    Args:
        folder: the folder of the project.
        database: the database of the project.
        catalogue: the images of the project.
        given: the model that the user gave.
        options: see :class:`LearningOptions`.
        note: called with a sentence if the model in use is not the given one, or a trained one is not used.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        catalogue: Catalogue,
        given: AnyModel,
        options: LearningOptions,
        note: Callable[[str], object],
    ) -> None:
        self.folder, self.options, self._catalogue, self._given = folder, options, catalogue, given
        self.lineage, self._roles, self._given_sha256 = Lineage(database), Roles(database), identity_of(given)
        self._given_hashes = identities_of(given)
        self.model = given
        self.known = self._known_of_given(note)
        self.training = Training(self._finish, options.command)
        rounds = Round.all_of(folder)
        if rounds and rounds[-1].result() is None and self._is_of_given(rounds[-1]):
            self.training.note_interrupted()

    def join(
        self,
        labels: Sequence[int],
        store: Path | None,
        accepted: Accepted,
        edited: Callable[[int], Collection[int]],
        change: Callable[[AnyModel, KnownModel], object],
        *,
        instances: bool = False,
    ) -> None:
        """Connect the training with the project, once, before it can begin.

        Args:
            labels: the labels of the project's classes.
            store: the folder of stored features; ``None`` for the user's.
            accepted: returns the images that can be used for training.
            edited: returns the slices of an image that a person edited, by the number of the image.
            change: called with a model that replaces the one in use, and its record.
            instances: whether masks are instance maps.
        """
        self._labels, self._store, self._accepted = tuple(labels), store, accepted
        self._edited, self._change, self._instances = edited, change, instances

    def _known_of_given(self, note: Callable[[str], object]) -> KnownModel:
        """Return the model to use: the newest one that was trained here from the given model, or the given model."""
        rounds = Round.all_of(self.folder)
        if rounds and self._is_due(rounds[-1]):  # the server ended before the new model took over
            self._take_over(rounds[-1], note)
        learned = self.lineage.learned_from(self._given_hashes)
        if learned is not None and learned.folder is not None:
            try:
                self.model = self.options.opened(self.folder / learned.folder)
            except PromiseError as error:
                note(
                    f"{self.folder / learned.folder}: the model that was trained in this project cannot be loaded, so "
                    f"the given model is used: {error}"
                )
            else:
                note(f"{self.folder / learned.folder}: the model that was trained in this project is used")
                return learned
        elif others := self.lineage.learned_from_others(self._given_hashes):
            note(
                f"{self.folder}: the models that were trained in this project are based on another model than the "
                f"given one, so they are not used. To continue with them, give {' or '.join(others)} as MODEL"
            )
        return self.lineage.given(self._given.ref.name, self._given_sha256, self._given_hashes)

    def _is_due(self, work: Round) -> bool:
        result = work.result()
        return result is not None and result.is_better and not self._took_over(work) and self._is_of_given(work)

    def _is_of_given(self, work: Round) -> bool:
        """Whether a round descends from the model that is given now; rounds of other models are ignored."""
        try:
            return work.job().given in self._given_hashes
        except PromiseError:
            return False

    def _took_over(self, work: Round) -> bool:
        return any(one.folder == work.name for one in self.lineage.all())

    def _take_over(self, work: Round, note: Callable[[str], object]) -> None:
        try:
            self._noted(work, self.options.opened(work.run))
        except PromiseError as error:
            note(f"{work.run}: the model that was trained in this project cannot be loaded: {error}")

    def _noted(self, work: Round, model: AnyModel) -> KnownModel:
        result = work.result()
        return self.lineage.learned(model, work.name, work.job().given, {} if result is None else result.as_json())

    def _finish(self, work: Round) -> None:
        """Use the new model of a finished round if it is better than the one before."""
        if self._is_due(work):
            model = self.options.opened(work.run)
            self.known = self._noted(work, model)
            self.model = model
            try:
                self._change(model, self.known)
            except Exception:  # the new model is in use all the same
                _LOG.warning("%s is in use, but some results of the previous model remain", model, exc_info=True)

    def begin(self, *, anew: bool = False) -> None:
        """Begin a round of training, or resume the interrupted one.

        Args:
            anew: begin a new round with the images that are accepted now, instead of resuming.

        Raises:
            Refusal: if training is running already, there are too few groups, or an image or record cannot be read.
        """
        rounds = Round.all_of(self.folder)
        resumes = not anew and self.training.state == TrainingState.INTERRUPTED and bool(rounds)
        self.training.start((lambda: rounds[-1]) if resumes else self._new_round)

    def _new_round(self) -> Round:
        images = self._to_learn_from(by_owner=True)
        seen = Seen(self.folder, self._catalogue, (self._given, self.model))
        self._roles.rename({listed.image: listed.group for _, listed in images if listed.group != listed.image})
        roles = self._roles.of((listed.group, listed.split, seen.has(number, listed)) for number, listed in images)
        used = [(listed, roles[listed.group]) for _, listed in images if listed.group in roles]
        counts = {role: len({listed.group for listed, own in used if own == role}) for role in Role}
        if not all(counts.values()):
            raise Refusal(
                409, "too-few",
                f"There are too few accepted images for a training: {counts[Role.TRAIN]} group(s) for training, "
                f"{counts[Role.VAL]} for choosing the best epoch and {counts[Role.HELD_OUT]} held out; expected at "
                "least one of each. Accept images of at least three patients or videos, or three images that belong to "
                "none",
            )  # fmt: skip
        names = [one.folder for one in self.lineage.all() if one.folder is not None]
        held_out = [(number, one) for number, one in images if roles.get(one.group) == Role.HELD_OUT]
        edited = {one.mask: sorted(self._edited(number)) for number, one in held_out}
        return Round.new(self.folder, self._job(len(images), edited), used, names)

    def _to_learn_from(self, *, by_owner: bool = False) -> list[tuple[int, ManifestEntry]]:
        """Return the accepted images that can be used for training; test rows are left out."""
        accepted = self._accepted(by_owner=by_owner)
        return [(number, listed) for number, listed in accepted if listed.split != Split.TEST]

    def _job(self, images: int, edited: Mapping[str, Sequence[int]]) -> Job:
        options, models = self.options, models_of(self.model)
        is_bare = all(one.model.apm is None and one.part.is_bare for one in models.values())
        labels = self._labels
        classes = None if labels == (1,) else "all" if len(labels) > 1 else str(labels[0])
        name = BARE if is_bare else self.model.ref.name
        return Job(
            model=str(Path(name).absolute()) if not is_bare and Path(name).exists() else name,
            given=self._given_sha256, sam=options.sam, image_size=options.image_size, classes=classes, labels=labels,
            device=options.device, store=None if self._store is None else str(self._store.absolute()), images=images,
            options=dict(options.training), always_segment=options.always_segment, edited=edited,
            instances=self._instances,
        )  # fmt: skip

    def names(self) -> dict[int, str]:
        """Return the names of all models of the project by their numbers."""
        return {one.number: one.name for one in self.lineage.all()}

    def facts(self) -> dict[str, Any]:
        """Return the state of training as JSON for clients, see docs/annotator-api.md."""
        accepted = len(self._to_learn_from())
        rounds = Round.all_of(self.folder)
        finished = [(one, found) for one in rounds if (found := one.result()) is not None]
        before = max((found.accepted for _, found in finished), default=0)
        missing = max(0, before + self.options.after - accepted)
        result = None
        if finished:
            work, found = finished[-1]
            result = {"round": work.folder.name, "took_over": self._took_over(work), **found.as_json()}
        return {
            **self.training.facts(), "accepted": accepted, "missing": missing,
            "offered": self.options.after > 0 and missing == 0, "model": self.known.as_json(), "result": result,
            "models": [one.as_json() for one in self.lineage.all()],
        }  # fmt: skip
