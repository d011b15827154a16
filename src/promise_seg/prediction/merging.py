"""Merge the logs of all parts into one table, and report the images that are missing or failed.

Memory use does not grow with the number of images, as the logs are sorted in a temporary database.
"""

import csv
import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from promise_seg.errors import PromiseError
from promise_seg.images.own_folders import (
    PREDICTION_COCO,
    PREDICTION_FAILURES,
    PREDICTION_PARTS,
    PREDICTION_TABLE,
)
from promise_seg.prediction.identity import read_identity
from promise_seg.prediction.objects_table import join_objects, objects_path
from promise_seg.prediction.outputs.rle import write_coco
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.part_logs import Entry, LogReader
from promise_seg.prediction.part_plan import PartPlan
from promise_seg.prediction.table import COLUMNS
from promise_seg.progress import Progress, silent
from promise_seg.storage.files import passing, replacing
from promise_seg.storage.strays import remove_strays
from promise_seg.vocabulary import OutputFormat

FAILURE_COLUMNS = ("image", "kind", "reason")
_FAILED, _MISSING = "failed", "missing"
_SCHEMA = """
CREATE TABLE entry (
    stem TEXT PRIMARY KEY, key TEXT, image TEXT, at REAL, state TEXT, mask TEXT, lines TEXT, listed INTEGER
) WITHOUT ROWID;
CREATE TABLE failure (stem TEXT PRIMARY KEY, at REAL, state TEXT, reason TEXT) WITHOUT ROWID;
"""
_NEWEST = "ON CONFLICT (stem) DO UPDATE SET {} WHERE excluded.at >= at"
_PUT_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, 0) " + _NEWEST.format(
    "key = excluded.key, image = excluded.image, at = excluded.at, state = excluded.state, mask = excluded.mask, "
    "lines = excluded.lines"
)
_PUT_FAILURE = "INSERT INTO failure VALUES (?, ?, ?, ?) " + _NEWEST.format(
    "at = excluded.at, state = excluded.state, reason = excluded.reason"
)
_DELETE_REPEATED = """
DELETE FROM entry WHERE NOT listed AND EXISTS (
    SELECT 1 FROM entry AS other WHERE other.key = entry.key
    AND (other.listed, other.at, other.stem) > (entry.listed, entry.at, entry.stem)
)
"""
_UNLISTED = "SELECT stem FROM entry WHERE NOT listed AND stem > ? ORDER BY stem LIMIT 1000"
_SHOWN_EVERY = 1000
_CACHE_KIB = 16384


@dataclass(frozen=True)
class Merged:
    """The outcome of merging the parts of predictions.

    Args:
        images: number of images in the table.
        lines: number of lines in the table.
        failed: number of images that could not be predicted.
        missing: number of images that no process has predicted yet, or whose mask, overlay or table of objects is gone.
        repeated: number of surplus log lines: images that were predicted twice, or were changed or moved since.
        damaged: number of log lines that could not be read; their images count as missing.
        failures: path of the table with the reasons; ``None`` if nothing failed and nothing is missing.
        notes: notes for the user, one line each.
    """

    images: int
    lines: int
    failed: int
    missing: int
    repeated: int
    damaged: int
    failures: Path | None
    notes: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every image of the list is in the table."""
        return not self.failed and not self.missing


def merge_parts(folder: str | Path, progress: Progress = silent) -> Merged:
    """Write ``predictions.csv`` with each image once, and ``failures.csv`` with failed and missing images.

    Parts can be merged again at any time, even while processes are running: the table has all that was predicted by
    then. Once it has all images, another list of images can be predicted in the same folder.

    Args:
        folder: output folder of predictions that were made in parts.
        progress: called with the number of log lines read so far.

    Raises:
        PromiseError: if the folder holds no parts, or cannot be read or written.
    """
    folder = Path(folder)
    remove_strays(folder / PREDICTION_PARTS)
    plan, identity = PartPlan.read(folder), read_identity(folder)
    with passing(folder / PREDICTION_TABLE) as place:
        try:
            # only this process uses the file, and network file systems may not support the locks of SQLite
            uri = f"{place.absolute().as_uri()}?nolock=1"
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
                merged = _Merging(folder, database, bool(identity.get("instances"))).merge(plan, progress)
                if identity.get("format") == OutputFormat.COCO:
                    masks = database.execute("SELECT mask FROM entry")
                    write_coco(sorted(folder / mask for (mask,) in masks), folder / PREDICTION_COCO)
                if identity.get("instances"):
                    found = database.execute("SELECT stem, image FROM entry ORDER BY stem, image")
                    join_objects(((objects_path(folder, stem), image) for stem, image in found), folder)
        except sqlite3.Error as error:
            raise PromiseError(
                f"{folder}: cannot be merged: {error}. It needs as much free space as the logs in its folder parts "
                "have, once for the table and once for ordering it"
            ) from error
    if merged.is_complete and not plan.complete:
        plan.note_complete(folder)
    return merged


class _Merging:
    """One call of :func:`merge_parts`."""

    def __init__(self, folder: Path, database: sqlite3.Connection, instances: bool) -> None:
        self._folder, self._database, self._files = folder, database, PartFiles(folder, instances)
        self._predicted = 0
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}", "temp_store = FILE"):
            database.execute(f"PRAGMA {setting}")
        database.executescript(_SCHEMA)

    def merge(self, plan: PartPlan, progress: Progress) -> Merged:
        """Read the logs and write both tables."""
        reader = LogReader(self._folder)
        self._database.execute("BEGIN")
        for number, entry in enumerate(reader.new_entries()):
            self._take_in(entry)
            if number % _SHOWN_EVERY == 0:
                progress("reading", min(number, plan.inputs), plan.inputs)
        progress("reading", plan.inputs, plan.inputs)
        self._database.execute("CREATE INDEX by_key ON entry (key)")
        images = int(self._database.execute("SELECT count(*) FROM entry").fetchone()[0])
        repeated = self._predicted - images
        failed, missing = self._write_failures(plan)
        self._forget_of_other_lists()
        lines = self._write_table()
        self._database.execute("COMMIT")
        images = int(self._database.execute("SELECT count(*) FROM entry").fetchone()[0])
        failures = self._folder / PREDICTION_FAILURES
        versions = sorted(reader.torch_versions)
        notes = () if len(versions) < 2 else (
            f"{self._folder}: processes had PyTorch {' and '.join(versions)}, with which masks may differ in single "
            "pixels",
        )  # fmt: skip
        return Merged(
            images, lines, failed, missing, repeated, reader.damaged, failures if failed or missing else None, notes
        )

    def _take_in(self, entry: Entry) -> None:
        if entry.problem:
            self._database.execute(_PUT_FAILURE, (entry.stem, entry.at, json.dumps(entry.state), entry.problem))
        elif entry.lines:
            self._predicted += 1
            values = [[line.get(name, "") for name in COLUMNS] for line in entry.lines]
            state, mask = json.dumps(entry.state), entry.lines[0]["mask"]
            facts = (entry.stem, entry.key, entry.image, entry.at, state, mask, json.dumps(values))
            self._database.execute(_PUT_ENTRY, facts)

    def _write_failures(self, plan: PartPlan) -> tuple[int, int]:
        """Write ``failures.csv``, drop entries whose files are gone, and return the numbers of failed and missing."""
        counts = {_FAILED: 0, _MISSING: 0}
        path, faults = self._folder / PREDICTION_FAILURES, self._faults(plan)
        first = next(faults, None)
        if first is None:
            path.unlink(missing_ok=True)
            return 0, 0
        with replacing(path) as to, to.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(FAILURE_COLUMNS)
            for name, kind, reason in itertools.chain([first], faults):
                counts[kind] += 1
                writer.writerow((name, kind, reason))
        return counts[_FAILED], counts[_MISSING]

    def _faults(self, plan: PartPlan) -> Iterator[tuple[str, str, str]]:
        """Yield the name, kind of fault and reason for each image of the list that is not in the table."""
        for stem, name in plan.listed(self._folder):
            if (found := self._fault_of(stem)) is None:
                self._database.execute("UPDATE entry SET listed = 1 WHERE stem = ?", (stem,))
            else:
                yield name, *found

    def _fault_of(self, stem: str) -> tuple[str, str] | None:
        """Return why an image cannot be in the table, and remove its entry; ``None`` if it can.

        A failure counts if it happened after the prediction. It does not count if the image's files are the same as
        for a prediction whose outputs exist, whatever the clocks of the processes said.
        """
        entry = self._database.execute("SELECT mask, at, state FROM entry WHERE stem = ?", (stem,)).fetchone()
        failure = self._database.execute("SELECT reason, at, state FROM failure WHERE stem = ?", (stem,)).fetchone()
        if entry is None:
            return (_MISSING, "not predicted yet") if failure is None else (_FAILED, failure[0])
        mask, at, state = entry
        gone = self._files.first_gone(stem, mask)
        if failure is not None and failure[1] > at and (gone or failure[2] != state):
            fault = _FAILED, failure[0]
        elif gone:
            fault = _MISSING, f"{Path(gone).as_posix()} is gone"
        else:
            return None
        self._database.execute("DELETE FROM entry WHERE stem = ?", (stem,))
        return fault

    def _forget_of_other_lists(self) -> None:
        """Remove images of other lists whose files are gone, that failed since, or that have another entry."""
        last = ""
        while stems := [stem for (stem,) in self._database.execute(_UNLISTED, (last,))]:
            for stem in stems:
                self._fault_of(stem)
            last = stems[-1]
        self._database.execute(_DELETE_REPEATED)

    def _write_table(self) -> int:
        """Write ``predictions.csv`` in the order of a run without parts, and return its number of lines."""
        count = 0
        with replacing(self._folder / PREDICTION_TABLE) as to, to.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for lines in self._ordered():
                writer.writerows(lines)
                count += len(lines)
        return count

    def _ordered(self) -> Iterator[list[list[str]]]:
        for (lines,) in self._database.execute("SELECT lines FROM entry INDEXED BY by_key ORDER BY key"):
            yield json.loads(lines)
