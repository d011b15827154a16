"""The SQLite file of a project. Acknowledged changes survive crashes of the server or system, and power cuts."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from promise_seg.annotator.refusals import Refusal
from promise_seg.errors import PromiseError

DATABASE = "project.sqlite"

_FIRST = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, stem TEXT NOT NULL, sha256 TEXT NOT NULL,
    stamp TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, slices INTEGER NOT NULL,
    fault TEXT, state TEXT NOT NULL DEFAULT 'open', trust REAL, revision INTEGER NOT NULL DEFAULT 0,
    next_object INTEGER NOT NULL DEFAULT 1, proposed TEXT NOT NULL DEFAULT '[]',
    mask TEXT, user TEXT, edits INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0, last_at REAL
);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, image INTEGER NOT NULL REFERENCES images, object INTEGER NOT NULL, content TEXT NOT NULL
);
CREATE TABLE current (
    image INTEGER NOT NULL REFERENCES images, object INTEGER NOT NULL, version INTEGER NOT NULL REFERENCES versions,
    PRIMARY KEY (image, object)
) WITHOUT ROWID;
CREATE TABLE events (
    image INTEGER NOT NULL REFERENCES images, revision INTEGER NOT NULL, action_id TEXT NOT NULL UNIQUE,
    action_sha256 TEXT NOT NULL, type TEXT NOT NULL, user TEXT NOT NULL, at TEXT NOT NULL,
    step TEXT, before TEXT NOT NULL, after TEXT NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (image, revision)
) WITHOUT ROWID;
CREATE INDEX steps ON events (image, step, revision);
"""
_LISTED = "ALTER TABLE images ADD COLUMN listed TEXT;"
_LEARNING = """
ALTER TABLE images ADD COLUMN proposed_by INTEGER;
CREATE TABLE models (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, given TEXT NOT NULL, folder TEXT,
    since TEXT NOT NULL, facts TEXT NOT NULL
);
CREATE TABLE roles (name TEXT PRIMARY KEY, role TEXT NOT NULL, drawn INTEGER NOT NULL) WITHOUT ROWID;
"""
_CLASSES = """
CREATE TABLE classes (label INTEGER PRIMARY KEY, name TEXT) WITHOUT ROWID;
INSERT INTO classes SELECT DISTINCT json_extract(content, '$.label'), NULL FROM versions;
ALTER TABLE images ADD COLUMN is_binary INTEGER;
CREATE INDEX contents ON images (sha256);
"""
"""The labels that were named or used, with the names that somebody gave; whether the mask that was written last is
binary, which is not known for masks of earlier versions; and images by their content, to find those that were moved."""
_KINDS = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
ALTER TABLE images ADD COLUMN mask_kind TEXT;
UPDATE images SET mask_kind = CASE is_binary WHEN 1 THEN 'binary' WHEN 0 THEN 'classes' END;
ALTER TABLE images DROP COLUMN is_binary;
"""
"""Settings that the project keeps, and the kind of the mask that was written last for each image."""
_SCHEMAS = (_FIRST, _LISTED, _LEARNING, _CLASSES, _KINDS)
"""The migrations from each version of the schema to the next."""
SCHEMA_VERSION = len(_SCHEMAS)


class Database:
    """The connection of a server to the database of its project. Threads share the connection and take turns.

    The write-ahead log is synchronised to the disk at each commit, so a finished transaction is never lost.

    Args:
        folder: the folder of the project.

    Raises:
        PromiseError: if the file cannot be opened, or was written by a newer version.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / DATABASE
        self._lock = threading.RLock()
        with ExitStack() as opened:
            self._open(opened)
            opened.pop_all()

    def _open(self, opened: ExitStack) -> None:
        try:
            self.connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            opened.callback(self.connection.close)
            self.connection.row_factory = sqlite3.Row
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute("PRAGMA foreign_keys = ON")
            self._prepare()
        except sqlite3.Error as error:
            raise PromiseError(
                f"{self.path}: cannot be opened as the database of a project: {error}. Choose another -o folder, or "
                "make this one writable"
            ) from error

    def _prepare(self) -> None:
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise PromiseError(
                f"{self.path}: was written by a newer version of promise-seg (format {version}; expected at most "
                f"{SCHEMA_VERSION}). Update promise-seg, or choose another -o folder"
            )
        if version < SCHEMA_VERSION:
            steps = "".join(_SCHEMAS[version:])
            self.connection.executescript(f"BEGIN;{steps}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read while no other thread writes, so that all results belong to the same state."""
        with self._lock:
            yield self.connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, which is either on the disk at the end of the block or rolled back.

        Raises:
            Refusal: if the changes cannot be stored, for example on a full disk; then nothing was changed.
        """
        with self._lock:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.OperationalError):
                    raise not_stored(str(error)) from error
                raise

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file. Nothing is lost if the server ends without closing it."""
        with self._lock:
            self.connection.close()


def not_stored(reason: str) -> Refusal:
    """Return the refusal of a change that could not be written to the disk."""
    return Refusal(
        507, "not-stored",
        f"The change could not be saved: {reason}. Nothing was changed. Free space or make the project's folder "
        "writable, and try again",
    )  # fmt: skip
