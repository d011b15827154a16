"""The versions of the objects of a project in its database, and the steps that undo and redo take between them."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from promise_seg.annotator.objects import AnnotatedObject

DONE, UNDONE, FORGOTTEN = "done", "undone", "forgotten"
"""The states of an undo step; ``forgotten`` are undone steps that a later step made impossible to redo."""


Versions = dict[int, int | None]
"""Maps the number of each object to its version; ``None`` if the object does not exist."""


def _version(connection: sqlite3.Connection, image: int, number: int) -> int | None:
    row = connection.execute("SELECT version FROM current WHERE image = ? AND object = ?", (image, number)).fetchone()
    return None if row is None else int(row["version"])


def written(
    connection: sqlite3.Connection, image: int, objects: Mapping[int, AnnotatedObject | None]
) -> tuple[Versions, Versions, None]:
    """Write new versions of the changed objects, and return the versions before and after the change."""
    before: Versions = {number: _version(connection, image, number) for number in objects}
    after: Versions = {}
    for number, one in objects.items():
        after[number] = None
        if one is not None:
            connection.execute("INSERT OR IGNORE INTO classes (label) VALUES (?)", (one.label,))
            after[number] = connection.execute(
                "INSERT INTO versions (image, object, content) VALUES (?, ?, ?)", (image, number, one.to_text())
            ).lastrowid
    return before, after, None


def moved(connection: sqlite3.Connection, image: int, go: int) -> tuple[Versions, Versions, int | None]:
    """Return the versions before and after undoing (-1) or redoing (1) one step, and the revision of that step."""
    event = step_of(connection, image, DONE if go < 0 else UNDONE)
    if event is None:
        return {}, {}, None
    old, new = (versions_in(event[name]) for name in ("before", "after"))
    before, after = (new, old) if go < 0 else (old, new)
    return before, after, int(event["revision"])


def restored(connection: sqlite3.Connection, image: int, proposed: Sequence[int], after: Versions) -> str | None:
    """Return the finished state that an image returns to with these versions; ``None`` if it does not.

    Args:
        connection: the connection to the database.
        image: the number of the image.
        proposed: the indices of the slices whose proposals were requested so far.
        after: the versions that undo or redo restores.
    """
    ended = connection.execute(
        "SELECT * FROM events WHERE image = ? AND type IN ('accept', 'skip', 'reopen') ORDER BY revision DESC LIMIT 1",
        (image,),
    ).fetchone()
    if not after or ended is None or ended["type"] == "reopen":
        return None
    answer = json.loads(ended["answer"])
    if list(answer["proposed"]) != list(proposed):
        return None
    old, new = Versions(), Versions()
    later = connection.execute(
        "SELECT before, after FROM events WHERE image = ? AND revision > ? ORDER BY revision",
        (image, ended["revision"]),
    ).fetchall()
    for event in later:
        new |= versions_in(event["after"])
        old = versions_in(event["before"]) | old  # the first version wins
    new |= after
    return str(answer["state"]) if old == new else None


def versions_in(text: str) -> Versions:
    """Return the versions that an event recorded, from their text in the database."""
    return {int(number): version for number, version in json.loads(text).items()}


def step_of(connection: sqlite3.Connection, image: int, step: str) -> sqlite3.Row | None:
    """Return the event that undo would revert (``done``) or redo would repeat (``undone``), if any."""
    order = "DESC" if step == DONE else "ASC"
    row: sqlite3.Row | None = connection.execute(
        f"SELECT * FROM events WHERE image = ? AND step = ? ORDER BY revision {order} LIMIT 1", (image, step)
    ).fetchone()
    return row


def put(connection: sqlite3.Connection, image: int, number: int, version: int | None) -> None:
    """Make a version the current one of an object; ``None`` removes the object."""
    if version is None:
        connection.execute("DELETE FROM current WHERE image = ? AND object = ?", (image, number))
    else:
        connection.execute("INSERT OR REPLACE INTO current VALUES (?, ?, ?)", (image, number, version))
