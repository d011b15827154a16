"""The images of a project. Each is read once when it is added; the hash of its content identifies it afterwards."""

import itertools
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from promise_seg.annotator.database import Database
from promise_seg.annotator.lru_cache import LruCache
from promise_seg.annotator.refusals import Refusal, unknown
from promise_seg.dataset.manifest import Row
from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import Input
from promise_seg.images.formats.kinds import kind_of
from promise_seg.images.formats.series_files import dicom_files
from promise_seg.images.formats.source import Source
from promise_seg.images.guarding import guarded
from promise_seg.images.reading import Reading
from promise_seg.progress import Progress, counted, silent
from promise_seg.vocabulary import MaskKind

_STATES = ("open", "done", "skipped")
_LOG = logging.getLogger(__name__)
_OPEN = 4
"""The number of image files that are kept open."""


@dataclass(frozen=True)
class ProjectImage:
    """An image to annotate: its files, and its row if a manifest lists it."""

    input: Input
    row: Row | None = None
    shares_folder: bool = False
    """Whether the image is one of several series in a folder, which a manifest cannot distinguish."""

    @property
    def stamp(self) -> str:
        """The sizes, modification times and inodes of all files; if they are unchanged, so is the content."""
        parts = []
        for path in self.files:
            facts = path.stat()
            parts.append(f"{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ino}")
        return ",".join(parts)

    @property
    def paths(self) -> list[Path]:
        """The paths of the image as it was given: its file, its folder, or its listed files. They may be missing."""
        return [*(self.input.files or [self.input.path]), *self.input.beside]

    @property
    def files(self) -> list[Path]:
        """All files of the image."""
        one = self.input
        own = list(one.files) or (dicom_files(one.path) if one.path.is_dir() else kind_of(one.path).files_of(one.path))
        return [*own, *one.beside]


class Catalogue:
    """The images of a project, stored in its database.

    Args:
        database: the database of the project.
        reading: the options by which the model reads files.
    """

    def __init__(self, database: Database, reading: Reading) -> None:
        self._database, self.reading = database, reading
        self._given: dict[int, ProjectImage] = {}
        self._opening = Lock()
        self._sources: LruCache[tuple[int, str], Source] = LruCache(_OPEN)
        self._compared: dict[int, tuple[str, bool]] = {}

    def add(
        self,
        images: Iterable[ProjectImage],
        progress: Progress = silent,
        note: Callable[[str], object] = lambda words: None,
    ) -> None:
        """Read each new image once, and record it; images that cannot be read are recorded with the reason.

        An image with the content of a recorded image whose file is gone is that image: its annotations are kept.

        Args:
            images: the images that are given at this start.
            progress: called for each image.
            note: called with a sentence about images that were found at another place.

        Raises:
            PromiseError: if none of them can be read.
        """
        moved = list[tuple[str, str]]()
        given, owners = list(images), self._owners_of_stems()
        for image in counted(given, progress, "reading images"):
            with self._database.reading() as connection:
                row = connection.execute("SELECT * FROM images WHERE key = ?", (image.input.key,)).fetchone()
            number = self._enter(image, owners, moved) if row is None else self._again(image, row, owners)
            self._given[number] = image
        if moved:
            old, new = moved[0]
            note(f"{len(moved)} image(s) have moved and keep their annotations: for example, {new} was {old}")
        if not self.numbers:
            reasons = [reason for _, reason in self.faults()]
            raise PromiseError(f"none of {len(given)} image(s) can be read: {reasons[0]}")

    def _owners_of_stems(self) -> dict[str, int]:
        """Return a mapping from the case-folded stem of the output files to the first image with this stem."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT id, stem FROM images ORDER BY id DESC").fetchall()
        return {str(stem).casefold(): int(number) for number, stem in rows}

    def _again(self, image: ProjectImage, row: sqlite3.Row, owners: dict[str, int]) -> int:
        """Return the number of an image that is recorded already. If it could not be read before, read it again."""
        number = int(row["id"])
        if owners[row["stem"].casefold()] < number:  # earlier versions allowed the same stem twice
            stem = _free_stem(row["stem"], owners)
            self._write("UPDATE images SET stem = :stem WHERE id = :id", {"stem": stem, "id": number})
            owners[stem.casefold()] = number
        if row["fault"] is not None:
            facts = self._look(image)
            self._write("UPDATE images SET sha256 = :sha256, stamp = :stamp, width = :width, height = :height, "
                        "slices = :slices, fault = :fault WHERE id = :id", {**facts, "id": number})  # fmt: skip
        return number

    def _enter(self, image: ProjectImage, owners: dict[str, int], moved: list[tuple[str, str]]) -> int:
        facts = self._look(image) | {"key": image.input.key, "name": _name(image.input)}
        if (known := self._moved(facts)) is not None:
            moved.append((known["key"], image.input.key))
            self._write(
                "UPDATE images SET key = :key, name = :name, stamp = :stamp WHERE id = :id",
                {name: facts[name] for name in ("key", "name", "stamp")} | {"id": known["id"]},
            )
            return int(known["id"])
        stem = _free_stem(image.input.stem, owners)
        facts["stem"] = stem
        number = self._write(
            "INSERT INTO images (key, name, stem, sha256, stamp, width, height, slices, fault) VALUES "
            "(:key, :name, :stem, :sha256, :stamp, :width, :height, :slices, :fault)",
            facts,
        )
        owners[stem.casefold()] = number
        return number

    def _moved(self, facts: Mapping[str, object]) -> sqlite3.Row | None:
        """Return the recorded image with the same content whose file is gone, preferably one with the same name."""
        if facts["fault"] is not None:
            return None
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM images WHERE sha256 = ? AND fault IS NULL ORDER BY id", (facts["sha256"],)
            ).fetchall()
        gone = [row for row in rows if row["id"] not in self._given and not _is_there(row["key"])]
        return min(gone, key=lambda row: row["name"] != facts["name"], default=None)

    def _write(self, statement: str, facts: Mapping[str, object]) -> int:
        try:
            with self._database.writing() as connection:
                return int(connection.execute(statement, dict(facts)).lastrowid or 0)
        except Refusal as refusal:
            raise PromiseError(f"{self._database.path}: {refusal.message}") from refusal

    def _look(self, image: ProjectImage) -> dict[str, object]:
        try:
            with guarded(image.input.name):
                stamp, sha256 = image.stamp, image.input.sha256()
                source = self.reading.opened(image.input.open(self.reading.axis))
                height, width = self.reading.rgb(source, 0).shape[:2]
        except PromiseError as error:
            return {"sha256": "", "stamp": "", "width": 0, "height": 0, "slices": 0, "fault": str(error)}
        return {
            "sha256": sha256, "stamp": stamp, "width": width, "height": height, "slices": len(source), "fault": None
        }  # fmt: skip

    @property
    def numbers(self) -> list[int]:
        """The numbers of the images that can be annotated."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT id FROM images WHERE fault IS NULL ORDER BY id").fetchall()
        return [number for (number,) in rows if number in self._given]

    def states(self) -> dict[str, int]:
        """Return the number of readable images in each state, with a single database query."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT id, state FROM images WHERE fault IS NULL").fetchall()
        found = Counter(state for number, state in rows if number in self._given)
        return {state: found[state] for state in _STATES}

    def faults(self) -> list[tuple[str, str]]:
        """Return the name of each image that could not be read, with the reason."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT id, name, fault FROM images WHERE fault IS NOT NULL ORDER BY id")
            return [(row["name"], row["fault"]) for row in rows.fetchall() if row["id"] in self._given]

    def row(self, number: int) -> sqlite3.Row:
        """Return the database row of an image.

        Raises:
            Refusal: if there is no image of this number.
        """
        if number not in self._given:  # also catches numbers that are too large for SQLite
            raise unknown(f"The image {number}")
        with self._database.reading() as connection:
            row: sqlite3.Row | None = connection.execute(
                "SELECT * FROM images WHERE id = ? AND fault IS NULL", (number,)
            ).fetchone()
        if row is None:
            raise unknown(f"The image {number}")
        return row

    def rows(self) -> list[sqlite3.Row]:
        """Return the database rows of all images that can be annotated."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM images WHERE fault IS NULL ORDER BY id").fetchall()
        return [row for row in rows if row["id"] in self._given]

    def image(self, number: int) -> ProjectImage:
        """Return an image with its files; raise a :class:`Refusal` if there is no image of this number."""
        self.row(number)
        return self._given[number]

    def accepted(self) -> list[sqlite3.Row]:
        """Return the database rows of all accepted images, including images that were given only at earlier starts."""
        with self._database.reading() as connection:
            return connection.execute("SELECT * FROM images WHERE state = 'done' ORDER BY id").fetchall()

    def masks_to_remove(self) -> list[sqlite3.Row]:
        """Return the database rows of all images that have masks although they are not accepted."""
        with self._database.reading() as connection:
            return connection.execute(
                "SELECT * FROM images WHERE state != 'done' AND mask IS NOT NULL ORDER BY id"
            ).fetchall()

    def masks_of_others(self, number: int) -> set[str]:
        """Return the paths of the masks of all images except this one, relative to the project's folder."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT mask FROM images WHERE id != ? AND mask IS NOT NULL", (number,)
            ).fetchall()
        return {mask for (mask,) in rows}

    def is_given(self, number: int) -> bool:
        """Whether an image was given at this start of the annotator."""
        return number in self._given

    def note_mask(self, number: int, mask: str, listed: str, kind: MaskKind) -> None:
        """Record the path of an image's masks, relative to the project's folder, its manifest entry as text, and the
        kind of the mask."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE images SET mask = ?, listed = ?, mask_kind = ? WHERE id = ?", (mask, listed, str(kind), number)
            )

    def note_planned_mask(self, number: int, mask: str) -> None:
        """Record the path of the masks that are about to be written for an image that is not accepted yet.

        If the server ends before the image is accepted, they are found and removed at the next start.
        """
        with self._database.writing() as connection:
            connection.execute("UPDATE images SET mask = ? WHERE id = ? AND state != 'done'", (mask, number))

    def forget_mask(self, number: int) -> None:
        """Record that an image has no masks any longer."""
        with self._database.writing() as connection:
            connection.execute("UPDATE images SET mask = NULL, listed = NULL WHERE id = ?", (number,))

    def note_trust(self, number: int, trust: float | None) -> None:
        """Record the trust score of an image's proposal, 0 to 1."""
        with self._database.writing() as connection:
            connection.execute("UPDATE images SET trust = ? WHERE id = ?", (trust, number))

    def forget_trust(self) -> None:
        """Remove the trust scores of open images, because a new model will replace their proposals."""
        with self._database.writing() as connection:
            connection.execute("UPDATE images SET trust = NULL WHERE state = 'open'")

    def is_changed(self, number: int) -> bool:
        """Whether files of an image are missing, or were changed since the image was first read."""
        return self.row_is_changed(self.row(number))

    def row_is_changed(self, row: sqlite3.Row) -> bool:
        """Like :meth:`is_changed`, for the image of a database row."""
        number, image = int(row["id"]), self._given[row["id"]]
        try:
            if (stamp := image.stamp) == row["stamp"]:
                return False
            known, changed = self._compared.get(number, ("", True))
            if stamp != known:
                changed = image.input.sha256() != row["sha256"]
                self._compared[number] = stamp, changed
                if not changed:
                    self._note_stamp(number, stamp)
        except (OSError, PromiseError):
            return True
        return changed

    def _note_stamp(self, number: int, stamp: str) -> None:
        try:
            self._write("UPDATE images SET stamp = :stamp WHERE id = :id", {"stamp": stamp, "id": number})
        except PromiseError as error:  # for example on a full disk; the content is then compared again after a restart
            _LOG.info("%s", error)

    def check_unchanged(self, number: int) -> None:
        """Check that the files of an image are unchanged since the image was first read.

        Raises:
            Refusal: if files are missing or were changed.
        """
        if self.is_changed(number):
            missing = next((path for path in self._given[number].paths if not path.exists()), None)
            raise Refusal(
                409, "changed",
                "The file of this image was changed after it had been added to the project. Restore the original file, "
                "or annotate the new one in another project" if missing is None else
                f"{missing.name}, a file of this image, is no longer in its folder. Move it back, or start the "
                "annotator again with the folder in which it is now",
            )  # fmt: skip

    def source(self, number: int) -> Source:
        """Return an opened image. The most recently used images are kept open.

        Raises:
            Refusal: if the files are missing, were changed, or can no longer be read.
        """
        self.check_unchanged(number)
        key = number, str(self.row(number)["sha256"])
        with self._opening:
            if (source := self._sources.get(key)) is None:
                given = self._given[number].input
                with readable(given.name):
                    source = self.reading.opened(given.open(self.reading.axis))
                self._sources.put(key, source)
            return source

    def check_slice(self, number: int, index: int) -> None:
        """Raise a :class:`Refusal` if an image has no such slice."""
        if not 0 <= index < self.row(number)["slices"]:
            raise unknown(f"The slice {index} of the image {number}")


def _free_stem(stem: str, taken: Collection[str]) -> str:
    """Return a stem for the output files of an image that no other image of the project has, with a number if needed.

    Images that were given at another start of the project may have the same name.

    Args:
        stem: the preferred stem.
        taken: the stems of the other images, case-folded.
    """
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name.casefold() not in taken)


def _is_there(key: str) -> bool:
    """Whether the file of a recorded image, or the folder of its series, exists."""
    folder, mark, _ = key.rpartition("#")  # of one of several series in a folder
    return Path(key).exists() or (bool(mark) and Path(folder).exists())


def _name(given: Input) -> str:
    """Return the name of an image in the list: the path of its file or series, relative to the given folder."""
    folder, slash, _ = given.stem.rpartition("/")
    return given.stem if given.files else f"{folder}{slash}{given.path.name}"


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn every error of reading an image into a refusal.

    Raises:
        Refusal: if the image cannot be read, with the reason.
    """
    refused = None
    try:
        with guarded(name):
            try:
                yield
            except Refusal as refusal:  # a refusal has nothing to do with the file
                refused = refusal
    except PromiseError as error:
        raise Refusal(422, "unreadable", str(error)) from error
    if refused is not None:
        raise refused
