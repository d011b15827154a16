"""Learning from accepted images: when it is offered, what it learns from, and which model is used afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from promise_seg.annotator.catalogue import Catalogue
from promise_seg.annotator.database import Database
from promise_seg.annotator.lineage import KnownModel, Lineage, identity_of
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.results import Listed
from promise_seg.annotator.roles import Role, Roles
from promise_seg.annotator.rounds import Job, Round
from promise_seg.annotator.segmenter import models_of
from promise_seg.annotator.training import COMMAND, Training, TrainingState
from promise_seg.errors import PromiseError
from promise_seg.images.readers import content_sha256
from promise_seg.workflows.model_ref import BARE
from promise_seg.workflows.models import AnyModel, load

DEFAULT_AFTER = 20
"""How many images are accepted before training on them is offered."""


@dataclass(frozen=True)
class LearningOptions:
    """The choices of a user for learning.

    Args:
        after: how many newly accepted images it is offered after; 0 for never.
        sam: the SAM of the model, if not where training found it; for ``bare`` which one.
        image_size: side of the input of a bare SAM.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        always_segment: as the model is used.
        training: more options of training, such as ``epochs``.
        command: of the process that learns.
    """

    after: int = DEFAULT_AFTER
    sam: str | None = None
    image_size: int | None = None
    device: str = "auto"
    always_segment: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    command: Sequence[str] = COMMAND

    def opened(self, folder: Path) -> AnyModel:
        """Return a model that learned."""
        return load(folder, sam=self.sam, device=self.device, always_segment=self.always_segment)


class Accepted(Protocol):
    """Returns the accepted images that can be learned from, the first accepted first, each with its number."""

    def __call__(self) -> list[tuple[int, Listed]]: ...


class Learning:
    """Rounds of learning in a project, and the model that is used.

    Args:
        folder: of the project.
        database: of the project.
        catalogue: the images.
        given: the model that the user gave.
        options: see :class:`LearningOptions`.
        note: told which model is used, if it is another than the given one.
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
        self.model = given
        self.known = self._known_of_given(note)
        self.training = Training(self._finish, options.command)
        rounds = Round.all_of(folder)
        if rounds and rounds[-1].result() is None:
            self.training.note_interrupted()

    def join(
        self,
        labels: Sequence[int],
        store: Path | None,
        accepted: Accepted,
        change: Callable[[AnyModel, KnownModel], object],
    ) -> None:
        """Join it with the project.

        Args:
            labels: the classes.
            store: of features; ``None`` for the user's.
            accepted: names the images to learn from.
            change: is given a model that takes over.
        """
        self._labels, self._store, self._accepted, self._change = tuple(labels), store, accepted, change

    def _known_of_given(self, note: Callable[[str], object]) -> KnownModel:
        """Find the model to use: the one that learned from the given one in this project, or that one itself."""
        rounds = Round.all_of(self.folder)
        if rounds and self._is_due(rounds[-1]):  # the server ended before it took over
            self._take_over(rounds[-1], note)
        learned = self.lineage.learned_from(self._given_sha256)
        if learned is not None and learned.folder is not None:
            try:
                self.model = self.options.opened(self.folder / learned.folder)
            except PromiseError as error:
                note(f"the model that learned from this project cannot be used; going on with the given one: {error}")
            else:
                note(f"{self.folder / learned.folder}: going on with the model that learned from this project")
                return learned
        return self.lineage.given(self._given.ref.name, self._given_sha256)

    def _is_due(self, work: Round) -> bool:
        result = work.result()
        if result is None or not result.is_better or self._took_over(work):
            return False
        try:
            return work.job().given == self._given_sha256
        except PromiseError:
            return False

    def _took_over(self, work: Round) -> bool:
        return any(one.folder == work.name for one in self.lineage.all())

    def _take_over(self, work: Round, note: Callable[[str], object]) -> None:
        try:
            self._noted(work, self.options.opened(work.run))
        except PromiseError as error:
            note(f"{work.run}: the model that learned from this project cannot be used: {error}")

    def _noted(self, work: Round, model: AnyModel) -> KnownModel:
        result = work.result()
        return self.lineage.learned(model, work.name, work.job().given, {} if result is None else result.as_json())

    def _finish(self, work: Round) -> None:
        """Use the new model, if it is better."""
        if self._is_due(work):
            model = self.options.opened(work.run)
            self.known = self._noted(work, model)
            self.model = model
            self._change(model, self.known)

    def begin(self, *, anew: bool = False) -> None:
        """Begin to learn, or go on with what was interrupted.

        Args:
            anew: begin with the images that are accepted now, whatever was interrupted.

        Raises:
            Refusal: if it is under way, or there are too few images.
        """
        rounds = Round.all_of(self.folder)
        goes_on = not anew and self.training.state == TrainingState.INTERRUPTED and bool(rounds)
        self.training.start((lambda: rounds[-1]) if goes_on else self._new_round)

    def _new_round(self) -> Round:
        images = self._accepted()
        trained_on = self._trained_on()
        roles = self._roles.of(
            (listed.group, listed.split, self._is_among(number, listed, trained_on)) for number, listed in images
        )
        used = [(listed, roles[listed.group]) for _, listed in images if listed.group in roles]
        counts = {role: len({listed.group for listed, own in used if own == role}) for role in Role}
        if not all(counts.values()):
            raise Refusal(
                409, "too-few",
                f"There are too few accepted images to learn from: {counts[Role.TRAIN]} groups to train on, "
                f"{counts[Role.VAL]} to choose on and {counts[Role.HELD_OUT]} that are held out, and each needs one. "
                "Accept images of at least three patients or videos, or three images that belong to none",
            )  # fmt: skip
        return Round.new(self.folder, self._job(len(images)), used)

    def _job(self, images: int) -> Job:
        options, models = self.options, models_of(self.model)
        is_bare = all(one.model.apm is None and one.part.is_bare for one in models.values())
        labels = self._labels
        classes = None if labels == (1,) else "all" if len(labels) > 1 else str(labels[0])
        name = BARE if is_bare else self.model.ref.name
        return Job(
            model=str(Path(name).absolute()) if not is_bare and Path(name).exists() else name,
            given=self._given_sha256, sam=options.sam, image_size=options.image_size, classes=classes, labels=labels,
            device=options.device, store=None if self._store is None else str(self._store.absolute()), images=images,
            options=dict(options.training),
        )  # fmt: skip

    def _trained_on(self) -> frozenset[str]:
        """Return the hashes of all images that the given model was trained on, as far as that is known."""
        known = [one.part.training_images() for one in models_of(self._given).values()]
        return frozenset().union(*(one.all_train for one in known if one is not None))

    def _is_among(self, number: int, listed: Listed, trained_on: frozenset[str]) -> bool:
        if not trained_on:
            return False
        if not self._catalogue.is_given(number):  # nobody knows: it is safer to learn from it than to compare on it
            return True
        source = self._catalogue.source(number)
        indices = range(len(source)) if listed.slices is None else listed.slices
        return any(content_sha256(source, index, self._catalogue.reading) in trained_on for index in indices)

    def names(self) -> dict[int, str]:
        """Return the names of all models by their numbers."""
        return {one.number: one.name for one in self.lineage.all()}

    def facts(self, accepted: int) -> dict[str, Any]:
        """Return what a client is told.

        Args:
            accepted: how many images there are.
        """
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
