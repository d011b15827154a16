"""A project of the annotator: images, a model, and all annotations, in one folder."""

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from sqlite3 import Row
from threading import Lock
from typing import Any, Self

from promise_seg._version import __version__
from promise_seg.annotator.accepting import Acceptances
from promise_seg.annotator.actions import Actions, Image
from promise_seg.annotator.bodies import (
    LARGEST_BODY,
    LONGEST_NAME,
    MOST_OBJECTS,
    MOST_POINTS,
    ActionBody,
    LeaseBody,
    PreviewBody,
    Propagate,
    Propose,
)
from promise_seg.annotator.catalogue import Catalogue
from promise_seg.annotator.classes import classes_of, given_names, labels_of
from promise_seg.annotator.database import Database
from promise_seg.annotator.encode_ahead import EncodeAhead
from promise_seg.annotator.finding import find_images
from promise_seg.annotator.history import Change, History, Outcome, Request, check_revision
from promise_seg.annotator.learning import Learning, LearningOptions
from promise_seg.annotator.leases import LEASE_SECONDS, Leases
from promise_seg.annotator.lineage import KnownModel
from promise_seg.annotator.mask_formats import check_can_be_trained_on, check_fits_images
from promise_seg.annotator.mask_kinds import choose_instances
from promise_seg.annotator.objects import AnnotatedObject
from promise_seg.annotator.pictures import Pictures
from promise_seg.annotator.propagation import Propagations, propagated
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.refused_starts import without_new_database, without_new_folders
from promise_seg.annotator.results import Results
from promise_seg.annotator.segmenter import Segmenter
from promise_seg.annotator.truth import Truth
from promise_seg.annotator.upcoming import Upcoming, middle
from promise_seg.annotator.users import check_user
from promise_seg.features.store import FeatureStore, store_folder
from promise_seg.progress import Progress, silent
from promise_seg.sam.decoded import NUM_CANDIDATES
from promise_seg.storage.locks import alone_in
from promise_seg.vocabulary import OutputFormat
from promise_seg.workflows.models import AnyModel
from promise_seg.workflows.outputs import check_output

_LOG = logging.getLogger(__name__)
API = 1
"""The version of the protocol."""
_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff")


@dataclass(frozen=True)
class Options:
    """The user's options of a project.

    Args:
        names: the names of classes, as ``NAME`` or ``LABEL=NAME``.
        user: the name of the user, unless the address gives another name.
        truth: whether to show the Dice with the ground truth.
        output_format: the format of masks.
        store: the folder of stored features; ``None`` for the user's.
        learning: the options of training on accepted images, see :class:`LearningOptions`.
        instances: whether masks are instance maps, with a number for each object; ``None`` for the choice of before, or
            in a new project, if the model separates objects.

    Raises:
        SettingsError: if the name of the user cannot be used.
    """

    names: Sequence[str] = ()
    user: str = "annotator"
    truth: bool = False
    output_format: OutputFormat = OutputFormat.AUTO
    store: Path | None = None
    learning: LearningOptions = field(default_factory=LearningOptions)
    instances: bool | None = None

    def __post_init__(self) -> None:
        check_user(self.user)


def check_options(options: Options) -> None:
    """Check the options of a project that can be checked without a model or images, before anything is loaded.

    Raises:
        SettingsError: if masks in the given format cannot be trained on, or the store is not a folder.
    """
    check_can_be_trained_on(options.output_format, options.instances)
    store_folder(options.store)


class Project:
    """A project in its folder. It is used in a ``with`` statement, during which no other process can open the folder.

    Args:
        model: the model that proposes objects and answers prompts.
        places: files and folders of images, or one manifest.
        folder: the folder of the project, which is created if it does not exist.
        options: see :class:`Options`.
        progress: called for each image that is read.
        note: called with a sentence on images that are left out.

    Raises:
        SettingsError: if a name cannot be used, or masks in the given format cannot be trained on.
        PromiseError: if there are no images, or the folder cannot be used.
    """

    def __init__(
        self,
        model: AnyModel,
        places: Iterable[str | Path],
        folder: str | Path,
        options: Options | None = None,
        progress: Progress = silent,
        note: Callable[[str], object] = lambda words: None,
    ) -> None:
        self.folder, self.options = Path(folder), options or Options()
        given_names(model, self.options.names)  # errors come before anything is written
        check_options(self.options)
        store = FeatureStore(self.options.store)
        found = find_images(places, model.reading, self.folder, note)  # errors come before anything is written
        with ExitStack() as opened:
            opened.enter_context(without_new_folders(self.folder))
            check_output(self.folder)
            opened.enter_context(alone_in(self.folder, "annotating"))
            opened.enter_context(without_new_database(self.folder))
            self._database = Database(self.folder)
            opened.callback(self._database.close)
            labels = labels_of(self._database, model, self.options.names)
            self.instances = choose_instances(self._database, model, labels, self.options.instances)
            check_can_be_trained_on(self.options.output_format, self.instances)
            self.classes = classes_of(self._database, model, self.options.names)
            self.history = History(self._database)
            self.catalogue = Catalogue(self._database, model.reading)
            self.catalogue.add(found, progress, note)
            check_fits_images(self.catalogue, self.options.output_format, instances=self.instances)
            self.truth = Truth(self.catalogue) if self.options.truth else None
            self.pictures = Pictures(self.catalogue)
            self.learning = Learning(self.folder, self._database, self.catalogue, model, self.options.learning, note)
            results = Results(self.folder, self.classes, self.options.output_format, instances=self.instances)
            self.acceptances = Acceptances(self.folder, self.catalogue, self.history, self.learning, results)
            self.learning.join(
                list(self.classes), self.options.store, self.acceptances.to_learn_from, self.history.edited_slices,
                self._use, instances=self.instances,
            )  # fmt: skip
            number = self.learning.known.number
            self.segmenter = Segmenter(self.learning.model, self.catalogue, store, number)
            self.leases = Leases()
            self.propagations = Propagations()
            self._locks = {number: Lock() for number in self.catalogue.numbers}
            for fault in (*self.acceptances.write_in_kind(progress), *self.acceptances.missing()):
                note(fault)
            try:
                self.acceptances.write_manifest()
            except Refusal as refusal:  # the next acceptance writes it
                note(f"manifest.csv is not up to date: {refusal.message}")
            for fault in self.acceptances.discard_all():
                note(fault)
            self._upcoming = Upcoming(self.catalogue)
            self._ahead = EncodeAhead(self.segmenter, self._upcoming.next, self._note_trust)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        self._ahead.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.propagations.close()
        self.learning.training.close()
        self._ahead.stop()
        self._opened.close()

    def facts(self) -> dict[str, Any]:
        """Return the project's model, classes, counts and limits as JSON for clients, see docs/annotator-api.md."""
        colours = dict(zip(self.classes, _COLOURS * (len(self.classes) // len(_COLOURS) + 1), strict=False))
        return {
            "name": self.folder.absolute().name, "version": __version__, "api": API,
            "model": {**self.learning.known.as_json(), "proposes": self.segmenter.proposes,
                      "candidates": NUM_CANDIDATES, "takes": ["points", "box", "mask"]},
            "classes": [{"id": n, "name": name, "colour": colours[n]} for n, name in self.classes.items()],
            "instances": self.instances, "user": self.options.user, "truth": self.truth is not None,
            "counts": self.catalogue.states(),
            "unreadable": [{"name": name, "reason": reason} for name, reason in self.catalogue.faults()],
            "limits": {"points": MOST_POINTS, "objects": MOST_OBJECTS, "body_bytes": LARGEST_BODY,
                       "name_length": LONGEST_NAME, "lease_seconds": LEASE_SECONDS},
        }  # fmt: skip

    def images(self, order: str) -> list[dict[str, Any]]:
        """Return the list of images, ordered by ``trust`` with the lowest score first, by ``name`` or by ``state``."""
        counts = self.history.counts()
        entries = [self._entry(row, counts.get(row["id"], 0)) for row in self.catalogue.rows()]
        if order == "trust":
            return sorted(entries, key=lambda one: (one["trust"] is None, one["trust"] or 0.0))
        if order == "state":
            return sorted(entries, key=lambda one: ("open", "skipped", "done").index(one["state"]))
        return sorted(entries, key=lambda one: one["name"])

    def _entry(self, row: Row, objects: int) -> dict[str, Any]:
        number, holder = int(row["id"]), self.leases.holder(row["id"])
        return {
            **{name: row[name] for name in ("id", "name", "state", "trust", "width", "height", "slices")},
            "objects": objects, "holder": None if holder is None else holder.as_json(),
            "changed": self.catalogue.row_is_changed(row), "ready": self._upcoming.is_done(number),
            "user": row["user"], "edits": row["edits"], "seconds": round(row["seconds"], 1),
        }  # fmt: skip

    def image(self, number: int) -> dict[str, Any]:
        """Return the state and the objects of an image as JSON for clients, see docs/annotator-api.md."""
        entry = self._entry(self.catalogue.row(number), self.history.count(number))
        with self._database.reading():  # all from the same revision
            objects, now = self.history.objects(number), self.history.state(number)
            can_undo, can_redo = self.history.steps(number)
        window = None if entry["changed"] else self.pictures.window(number)
        looked_at = {*now.proposed, *(one.slice for one in objects)}
        return entry | {
            "state": now.state, "objects": len(objects), "revision": now.revision, "can_undo": can_undo,
            "can_redo": can_redo, "proposed": list(now.proposed), "window": window,
            "dice": None if entry["changed"] else self._dice(number, looked_at, objects),
            "list": [one.for_client() for one in objects],
        }  # fmt: skip

    def hold(self, number: int, body: LeaseBody) -> dict[str, Any]:
        """Give the lease of an image to a client, or extend it."""
        self.catalogue.row(number)
        user = body.user or self.options.user
        if (before := self.leases.holder(number)) is not None and before.client == body.client:
            self.leases.take(number, body.client, user, by_force=body.take)  # its own action may take minutes
        else:
            with self._locks[number]:  # wait for an action of the previous holder
                self.leases.take(number, body.client, user, by_force=body.take)
                self._renew(number)
                if body.propose is not None:
                    self._propose_at_once(number, body.client, body.propose)
            self._upcoming.opened(number)
            self._ahead.wake()
        return self.image(number)

    def _renew(self, number: int) -> None:
        if self.segmenter.proposes:
            try:
                self.history.renew(number, self.segmenter.in_use.number)
            except Refusal as refusal:  # for example on a full disk
                _LOG.warning("image %d keeps the proposals of an earlier model: %s", number, refusal.message)

    def _propose_at_once(self, number: int, client: str, index: int) -> None:
        """Add the proposal of a slice to an image that is being opened, if it was computed before."""
        now = self.history.state(number)
        if now.state != "open" or index in now.proposed or not self.segmenter.has_proposals(number, index):
            return
        action = Propose(type="propose", slice=index)
        body = ActionBody(id=str(uuid.uuid4()), client=client, revision=now.revision, action=action)
        try:
            self._done(number, body, self.history.objects(number))
        except Refusal as refusal:  # for example on a full disk; the client gets the error when it sends propose
            _LOG.info("image %d opens without its proposals: %s", number, refusal.message)

    def act(self, number: int, body: ActionBody) -> dict[str, Any]:
        """Carry out an action once, and return its result as JSON when the change is on the disk.

        Raises:
            Refusal: if the action is refused and nothing changed, or it was done but the manifest cannot be written.
        """
        self.catalogue.row(number)
        with self._locks[number]:
            action = body.action.model_dump(mode="json", by_alias=True)
            done = self.history.answered(number, Request.of(body.id, action, ""))
            if done is None:
                before = self.history.objects(number)
                done = self._done(number, body, before)
                touched = {one.slice for one in before if one.id in done.removed}
            else:
                touched = set()
                if self.acceptances.manifest_is_due:
                    self.acceptances.write_manifest()
                    self.acceptances.discard(number)
            touched |= {one.slice for one in done.changed}
            objects = [] if self.truth is None else self.history.objects(number)
            return done.for_client() | {"dice": self._dice(number, touched, objects)}

    def _done(self, number: int, body: ActionBody, objects: list[AnnotatedObject]) -> Outcome:
        user = self.leases.check(number, body.client).user
        self.catalogue.check_unchanged(number)
        request = Request.of(body.id, body.action.model_dump(mode="json", by_alias=True), user)
        image = self._image(number, objects)
        check_revision(image.now, body.revision)
        change = self._change(number, body, image)
        if change.proposed is not None:
            self._upcoming.looked_at(number, change.proposed)
            self._ahead.wake()
        if change.go:
            state, objects = self.history.returned(number, change.go)
            change = replace(change, state=state)
        try:
            change = self._with_masks(number, change, objects)
            outcome = self.history.commit(number, body.revision, request, change)
        except Refusal:
            self.acceptances.discard(number)
            raise
        if change.state == "done" or outcome.state != image.now.state:
            self.acceptances.write_manifest()
            if fault := self.acceptances.discard(number):
                outcome = replace(outcome, note=f"{outcome.note} {fault}".strip())
        return outcome

    def _with_masks(self, number: int, change: Change, objects: list[AnnotatedObject]) -> Change:
        """Write the masks of an image that a change accepts, and return the change.

        If undo or redo would accept the image again, but its masks cannot be written in this format any more, the
        change leaves it open instead, with a note.

        Raises:
            Refusal: if the masks cannot be written.
        """
        if change.state == "done":
            try:
                self.acceptances.write(number, objects)
            except Refusal as refusal:
                if not change.go or refusal.code != "invalid":
                    raise
                self.acceptances.discard(number)
                reason = refusal.message.rstrip(".")
                return replace(
                    change, state="open", note=f"The image was accepted here before, but is open now: {reason}"
                )
        return change

    def _change(self, number: int, body: ActionBody, image: Image) -> Change:
        action = body.action
        if not isinstance(action, Propagate):
            return Actions(self.segmenter, number, image).change(action)
        goes_on = self.propagations.goes_on(number)

        def noted(done: int, total: int) -> bool:
            self.leases.check(number, body.client)  # extends the lease before each slice
            return goes_on(done, total)

        try:
            return propagated(self.segmenter, number, image, action, noted)
        finally:
            self.propagations.end(number)

    def _image(self, number: int, objects: list[AnnotatedObject]) -> Image:
        row = self.catalogue.row(number)
        return Image(
            self.history.state(number), objects, row["height"], row["width"], row["slices"], list(self.classes)
        )

    def _dice(self, number: int, slices: Iterable[int], objects: list[AnnotatedObject]) -> dict[str, float] | None:
        if self.truth is None:
            return None
        found = {index: self.truth.dice(number, index, objects) for index in sorted(set(slices))}
        return {str(index): value for index, value in found.items() if value is not None}

    def _note_trust(self, number: int, index: int, trust: float | None) -> None:
        row = self.catalogue.row(number)
        if trust not in (None, row["trust"]) and index == middle(row["slices"]):
            self.catalogue.note_trust(number, trust)
        self._upcoming.note_done(number)

    def _use(self, model: AnyModel, known: KnownModel) -> None:
        """Use another model from now on. Proposals that nobody edited are replaced when their images are opened."""
        self.segmenter.use(model, known.number)
        try:
            self.catalogue.forget_trust()
        except Refusal as refusal:  # for example on a full disk; old scores stay until new ones are computed
            _LOG.warning("the trust of images is that of an earlier model: %s", refusal.message)
        self._upcoming.again()
        self._ahead.wake()

    def preview(self, number: int, body: PreviewBody) -> AnnotatedObject:
        """Return an object with the prompts of a preview and the model's answer to them. Nothing is stored."""
        self.catalogue.row(number)
        one = None if body.object is None else self.history.object(number, body.object)
        image = self._image(number, [] if one is None else [one])  # other objects do not affect a preview
        return Actions(self.segmenter, number, image).previewed(body)

    def training_facts(self) -> dict[str, Any]:
        """Return the state of training on accepted images as JSON for clients, see docs/annotator-api.md."""
        return self.learning.facts()

    def export_coco(self) -> dict[str, Any]:
        """Write all accepted masks as COCO into the folder; return the file's name and its counts."""
        return self.acceptances.export_coco()
