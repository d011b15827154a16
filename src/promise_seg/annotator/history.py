"""The log of all changes of an image, with undo and redo.

Each event records the versions of the changed objects before and after it. Undo restores the versions before the event
without running the model again. Nothing is ever deleted: undone events stay in the log.
"""

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from promise_seg.annotator.database import Database
from promise_seg.annotator.objects import AnnotatedObject
from promise_seg.annotator.refusals import Refusal, unknown
from promise_seg.annotator.versions import (
    DONE,
    FORGOTTEN,
    UNDONE,
    moved,
    put,
    restored,
    step_of,
    versions_in,
    written,
)

LONGEST_PAUSE = 60.0
"""The longest time between two actions that counts as work, in seconds; longer pauses count as this much."""

RENEWAL = "renew"
"""The type of the events that remove the proposals of an earlier model."""


@dataclass(frozen=True)
class Request:
    """The identity of an action: the id that the client gave it, the hash of its content, its type, and the user."""

    id: str
    sha256: str
    type: str
    user: str

    @classmethod
    def of(cls, action_id: str, action: Mapping[str, Any], user: str) -> "Request":
        """Return the request for an action."""
        text = json.dumps(action, sort_keys=True, default=str)
        return cls(action_id, hashlib.sha256(text.encode()).hexdigest(), str(action["type"]), user)


@dataclass(frozen=True)
class ImageState:
    """The present state of an image, apart from its objects."""

    id: int
    revision: int
    state: str
    proposed: tuple[int, ...]
    next_object: int


@dataclass(frozen=True)
class Change:
    """The effect of an action.

    Args:
        objects: maps the number of each changed object to its new version, or to ``None`` if it is removed.
        state: the new state of the image; ``None`` to leave it.
        proposed: the index of the slice whose proposal was requested, if any.
        is_work: whether the action counts as work of a person; showing a slice does not.
        is_step: whether it is a step that undo reverts.
        go: -1 for undo, 1 for redo, 0 for other actions.
        model: the number of the model that made the proposals.
        note: a sentence for the user if the action was done only in part.
    """

    objects: Mapping[int, AnnotatedObject | None] = field(default_factory=dict)
    state: str | None = None
    proposed: int | None = None
    is_work: bool = True
    is_step: bool = False
    go: int = 0
    model: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """The result of an action that was done."""

    revision: int
    changed: tuple[AnnotatedObject, ...]
    removed: tuple[int, ...]
    state: str
    can_undo: bool
    can_redo: bool
    proposed: tuple[int, ...]
    note: str = ""

    def for_client(self) -> dict[str, Any]:
        """Return the outcome as JSON for clients, without the Dice; see docs/annotator-api.md."""
        return {
            "revision": self.revision, "changed": [one.for_client() for one in self.changed],
            "removed": list(self.removed), "state": self.state, "can_undo": self.can_undo, "can_redo": self.can_redo,
            "proposed": list(self.proposed), "note": self.note,
        }  # fmt: skip


class History:
    """The events and the current objects of all images of a project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self, image: int) -> ImageState:
        """Return the present state of an image.

        Raises:
            Refusal: if there is no image of this number.
        """
        with self._database.reading() as connection:
            return _state(connection, image)

    def objects(self, image: int) -> list[AnnotatedObject]:
        """Return the objects of an image, from the lowest to the topmost."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT content FROM current JOIN versions ON versions.id = version WHERE current.image = ? "
                "ORDER BY current.object",
                (image,),
            ).fetchall()
        return [AnnotatedObject.from_text(content) for (content,) in rows]

    def object(self, image: int, number: int) -> AnnotatedObject | None:
        """Return an object of an image by its number; ``None`` if there is no such object."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT content FROM current JOIN versions ON versions.id = version WHERE current.image = ? AND "
                "current.object = ?",
                (image, number),
            ).fetchone()
        return None if row is None else AnnotatedObject.from_text(row["content"])

    def count(self, image: int) -> int:
        """Return the number of objects of an image."""
        with self._database.reading() as connection:
            (count,) = connection.execute("SELECT COUNT(*) FROM current WHERE image = ?", (image,)).fetchone()
        return int(count)

    def counts(self) -> dict[int, int]:
        """Return the number of objects by image; images without objects are left out."""
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT image, COUNT(*) FROM current GROUP BY image").fetchall())

    def steps(self, image: int) -> tuple[bool, bool]:
        """Return whether the image has a step to undo, and whether it has one to redo."""
        with self._database.reading() as connection:
            return step_of(connection, image, DONE) is not None, step_of(connection, image, UNDONE) is not None

    def returned(self, image: int, go: int) -> tuple[str | None, list[AnnotatedObject]]:
        """Return the state that undo (-1) or redo (1) restores, and the objects of the image after it.

        If exactly the objects and viewed slices return with which the image was accepted or skipped last, the image is
        ``done`` or ``skipped`` again, unless it was reopened on purpose. Otherwise the state is ``None``.
        """
        with self._database.reading() as connection:
            _, after, _ = moved(connection, image, go)
            state = restored(connection, image, _state(connection, image).proposed, after)
            present = {one.id: one for one in self.objects(image)}
            for number, version in after.items():
                present.pop(number, None)
                if version is not None:
                    row = connection.execute("SELECT content FROM versions WHERE id = ?", (version,)).fetchone()
                    present[number] = AnnotatedObject.from_text(row["content"])
        return state, [present[number] for number in sorted(present)]

    def edited_slices(self, image: int) -> set[int]:
        """Return the indices of the slices whose objects differ from the proposals of the model.

        Objects that were drawn, changed, removed or given another class are edits; accepting a proposal is not.
        """
        with self._database.reading() as connection:
            events = connection.execute(
                "SELECT after FROM events WHERE image = ? AND type = 'propose' AND revision > "
                "(SELECT COALESCE(MAX(revision), 0) FROM events WHERE image = ? AND type = ?)",
                (image, image, RENEWAL),
            ).fetchall()
            versions = [version for (after,) in events for version in versions_in(after).values()]
            marks = ", ".join("?" * len(versions))
            rows = connection.execute(f"SELECT content FROM versions WHERE id IN ({marks})", versions).fetchall()
            present = self.objects(image)
        proposed = [AnnotatedObject.from_text(content) for (content,) in rows]
        now, then = (
            {(one.slice, one.id, one.label, one.mask) for one in objects if not one.mask.is_empty}
            for objects in (present, proposed)
        )
        return {index for index, *_ in now ^ then}

    def answered(self, image: int, request: Request) -> Outcome | None:
        """Return the result of an action if it was done before; otherwise ``None``.

        Raises:
            Refusal: if the id was used for another action.
        """
        with self._database.reading() as connection:
            event = connection.execute("SELECT * FROM events WHERE action_id = ?", (request.id,)).fetchone()
            if event is None:
                return None
            if event["image"] != image or event["action_sha256"] != request.sha256:
                raise _repeated(request)
            return _outcome(connection, event)

    def commit(self, image: int, revision: int, request: Request, change: Change) -> Outcome:
        """Store a change, all of it or nothing; it is on the disk when this returns.

        Args:
            image: the number of the image.
            revision: the revision of the image that the change is based on.
            request: the identity of the action.
            change: the effect of the action.

        Raises:
            Refusal: if the revision is not the newest, the id was used before, or the disk cannot be written; then
                nothing was changed.
        """
        with self._database.writing() as connection:
            now = _state(connection, image)
            check_revision(now, revision)
            if connection.execute("SELECT 1 FROM events WHERE action_id = ?", (request.id,)).fetchone() is not None:
                raise _repeated(request)  # on another image, committed meanwhile
            before, after, step = (
                moved(connection, image, change.go) if change.go else written(connection, image, change.objects)
            )
            for number, version in after.items():
                put(connection, image, number, version)
            now = _after(now, change, touched=bool(after))
            _note_step(connection, image, change, step)
            answer = {
                "state": now.state, "proposed": now.proposed, "note": change.note,
                "can_undo": change.is_step or step_of(connection, image, DONE) is not None,
                "can_redo": not change.is_step and step_of(connection, image, UNDONE) is not None,
            }  # fmt: skip
            connection.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (image, now.revision, request.id, request.sha256, request.type, request.user,
                 datetime.now(UTC).isoformat(timespec="milliseconds"), DONE if change.is_step else None,
                 json.dumps(before), json.dumps(after), json.dumps(answer)),
            )  # fmt: skip
            _note_work(connection, now, request.user, counts=change.is_work)
            if change.model is not None:
                connection.execute("UPDATE images SET proposed_by = ? WHERE id = ?", (change.model, image))
            event = connection.execute("SELECT * FROM events WHERE action_id = ?", (request.id,)).fetchone()
            return _outcome(connection, event)

    def renew(self, image: int, model: int | None) -> bool:
        """Remove the proposals of an earlier model from an open image that nobody worked on, to be made anew.

        Args:
            image: the number of the image.
            model: the number of the model that proposes now.

        Returns:
            Whether there were such proposals.
        """
        with self._database.reading() as connection:  # read first, so that images can be opened on a full disk
            if not _is_outdated(connection, image, model):
                return False
        with self._database.writing() as connection:
            row = connection.execute("SELECT * FROM images WHERE id = ?", (image,)).fetchone()
            rows = connection.execute("SELECT object, version FROM current WHERE image = ?", (image,)).fetchall()
            before = {int(row["object"]): int(row["version"]) for row in rows}
            answer = {"state": "open", "proposed": [], "can_undo": False, "can_redo": False}
            connection.execute("DELETE FROM current WHERE image = ?", (image,))
            connection.execute(
                "INSERT INTO events VALUES (?, ?, ?, '', ?, '', ?, NULL, ?, ?, ?)",
                (image, row["revision"] + 1, str(uuid.uuid4()), RENEWAL,
                 datetime.now(UTC).isoformat(timespec="milliseconds"), json.dumps(before),
                 json.dumps(dict.fromkeys(before)), json.dumps(answer)),
            )  # fmt: skip
            connection.execute("UPDATE images SET revision = revision + 1, proposed = '[]' WHERE id = ?", (image,))
        return True


def _repeated(request: Request) -> Refusal:
    return Refusal(409, "repeated", f"The id {request.id} was used for another action. Give each action its own id")


def check_revision(now: ImageState, revision: int) -> None:
    """Check that a change is based on the newest revision.

    Raises:
        Refusal: if the change is based on an older revision; the refusal contains the newest one.
    """
    if now.revision != revision:
        raise Refusal(
            409, "stale", f"The image has changed meanwhile (revision {now.revision}, not {revision}). Reload it",
            revision=now.revision,
        )  # fmt: skip


def _state(connection: sqlite3.Connection, image: int) -> ImageState:
    row = connection.execute("SELECT * FROM images WHERE id = ? AND fault IS NULL", (image,)).fetchone()
    if row is None:
        raise unknown(f"The image {image}")
    return ImageState(row["id"], row["revision"], row["state"], tuple(json.loads(row["proposed"])), row["next_object"])


def _is_outdated(connection: sqlite3.Connection, image: int, model: int | None) -> bool:
    """Whether an open image holds only proposals, made by another model."""
    row = connection.execute("SELECT * FROM images WHERE id = ?", (image,)).fetchone()
    touched = connection.execute(
        "SELECT 1 FROM events WHERE image = ? AND type NOT IN ('propose', ?) LIMIT 1", (image, RENEWAL)
    ).fetchone()
    return bool(touched is None and row["state"] == "open" and row["proposed"] != "[]" and row["proposed_by"] != model)


def _after(now: ImageState, change: Change, *, touched: bool) -> ImageState:
    state = change.state or ("open" if touched and change.proposed is None else now.state)
    proposed = set(now.proposed) | (set() if change.proposed is None else {change.proposed})
    next_object = max([now.next_object, *(number + 1 for number in change.objects)])
    return replace(
        now, revision=now.revision + 1, state=state, proposed=tuple(sorted(proposed)), next_object=next_object
    )


def _note_step(connection: sqlite3.Connection, image: int, change: Change, step: int | None) -> None:
    if change.is_step:  # undone steps can no longer be redone
        connection.execute("UPDATE events SET step = ? WHERE image = ? AND step = ?", (FORGOTTEN, image, UNDONE))
    elif step is not None:
        new = UNDONE if change.go < 0 else DONE
        connection.execute("UPDATE events SET step = ? WHERE image = ? AND revision = ?", (new, image, step))


def _note_work(connection: sqlite3.Connection, now: ImageState, user: str, *, counts: bool) -> None:
    """Write the new state of an image and its working time; ``counts`` is whether the action counts as an edit."""
    at = datetime.now(UTC).timestamp()
    connection.execute(
        "UPDATE images SET revision = ?, state = ?, proposed = ?, next_object = ?, user = ?, edits = edits + ?, "
        "seconds = seconds + MAX(0, MIN(?, ? - COALESCE(last_at, ?))), last_at = ? WHERE id = ?",
        (now.revision, now.state, json.dumps(now.proposed), now.next_object, user, int(counts), LONGEST_PAUSE, at, at,
         at, now.id),
    )  # fmt: skip


def _outcome(connection: sqlite3.Connection, event: sqlite3.Row) -> Outcome:
    after, answer = versions_in(event["after"]), json.loads(event["answer"])
    kept: Sequence[int] = [version for version in after.values() if version is not None]
    marks = ", ".join("?" * len(kept))
    rows = connection.execute(f"SELECT content FROM versions WHERE id IN ({marks}) ORDER BY object", kept).fetchall()
    return Outcome(
        event["revision"], tuple(AnnotatedObject.from_text(content) for (content,) in rows),
        tuple(number for number, version in after.items() if version is None),
        answer["state"], answer["can_undo"], answer["can_redo"], tuple(answer["proposed"]),
        answer.get("note", ""),
    )  # fmt: skip
