"""Copy images of a hospital archive into a folder: complete, verified series, and a manifest of those with masks."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread

from promise_seg.archives.address import Address
from promise_seg.archives.credentials import Credentials
from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError
from promise_seg.archives.searching import Series
from promise_seg.arguments import checks_arguments
from promise_seg.curation.pairing.making import Made, make_manifest
from promise_seg.errors import ManifestError, PromiseError, SettingsError
from promise_seg.progress import Progress, Stage, silent
from promise_seg.storage.files import sync_folder
from promise_seg.storage.hashing import file_sha256
from promise_seg.storage.locks import alone_in
from promise_seg.workflows.archive_notes import NotesOfSeries
from promise_seg.workflows.archive_series import ArchiveSource, Task, connected, how_far
from promise_seg.workflows.noting import Note, no_note

IMAGES = "images"
MANIFEST = "manifest.csv"
SEGMENTATIONS = ("SEG",)


@dataclass(frozen=True)
class SeriesFiles:
    """A note on a copied series.

    Args:
        instances: hash of the identifiers of its instances.
        files: SHA-256 of each instance's file, keyed by its identifier; empty for a series without images.
    """

    instances: str
    files: dict[str, str]


@dataclass
class Fetched:
    """The outcome of copying images of an archive.

    Args:
        folder: folder with a subfolder for each study, which has a subfolder for each series.
        series: number of series in the folder, including those that were there before.
        new: number of series that were copied by this call.
        problems: a line for each study or series that could not be copied.
        made: the manifest of the series that have a segmentation; ``None`` if none was written.
    """

    folder: Path
    series: int = 0
    new: int = 0
    problems: list[str] = field(default_factory=list)
    made: Made | None = None


class FetchNotes(NotesOfSeries[SeriesFiles]):
    """The notes in a folder of copied series; images next to the notes belong to series that are still incomplete."""

    def _note_of(self, content: dict[str, Any]) -> SeriesFiles:
        return SeriesFiles(str(content["instances"]), {str(one): str(sha) for one, sha in content["files"].items()})

    def _as_json(self, note: SeriesFiles) -> dict[str, Any]:
        return {"instances": note.instances, "files": note.files}


class _Run:
    """The work on each series."""

    def __init__(
        self, source: ArchiveSource[SeriesFiles], notes: FetchNotes, found: Fetched, progress: Progress
    ) -> None:
        self._source, self._notes, self._found, self._progress = source, notes, found, progress

    def do(self, task: Task[SeriesFiles]) -> None:
        """Retrieve a series unless it is already complete.

        Raises:
            ArchiveError: if some of it cannot be retrieved.
            PromiseError: if files cannot be written.
        """
        where, place = self._source.where(task.series), self._found.folder / task.series.study / task.series.uid
        if task.known is not None and not task.known.files:
            self._found.problems.append(self._no_images(where, task.series))
            return
        if not task.instances:
            raise ArchiveError(f"{where}: the archive lists no instances of it")
        if task.known is not None and self._all_as_noted(place, task.known):
            self._found.series += 1
            return
        collected = self._notes.images(task.series)
        if place.is_dir():  # incomplete, damaged, or it has other instances now
            shutil.rmtree(collected, ignore_errors=True)
            _move(place, collected)
        self._source.fetch(task)
        files = sorted(collected.glob("*.dcm"))
        if not any(map(_has_pixels, files)):
            self._notes.write(task.series, SeriesFiles(task.instances_sha256, {}))
            shutil.rmtree(collected, ignore_errors=True)
            self._found.problems.append(self._no_images(where, task.series))
            return
        self._notes.write(
            task.series, SeriesFiles(task.instances_sha256, {one.stem: file_sha256(one) for one in files})
        )
        _move(collected, place)
        self._found.series += 1
        self._found.new += 1

    def _no_images(self, where: str, series: Series) -> str:
        return (
            f"{where}: has no images with pixels. It is not retrieved again; to have it looked at once more, remove "
            f"{self._notes.path(series)}"
        )

    def _all_as_noted(self, place: Path, known: SeriesFiles) -> bool:
        """Whether all files exist with the SHA-256 that was noted; files that have changed are removed.

        Raises:
            PromiseError: if a file cannot be read or removed.
        """
        count, whole = Stage(self._progress, "checking", len(known.files)), True
        for instance, sha256 in known.files.items():
            path = place / f"{instance}.dcm"
            try:
                if file_sha256(path) != sha256:
                    whole = False
                    path.unlink()
            except FileNotFoundError:
                whole = False
            except OSError as error:
                raise PromiseError(
                    f"{path}: cannot be checked: {error.strerror or error}. Check its permissions and the disk"
                ) from error
            count()
        return whole


@checks_arguments("address", "output", "segmentations", "progress", "note")
def fetch_archive(
    address: str,
    output: str | Path,
    *,
    segmentations: bool = False,
    progress: Progress = silent,
    note: Note = no_note,
) -> Fetched:
    """Copy the series of a hospital archive into a folder, or resume an earlier copy.

    A series appears below ``images`` only when it is complete; every file is byte-identical to the archive's. Existing
    files are compared with the SHA-256 noted when they were retrieved, and retrieved again if they differ. If the
    archive can no longer be reached, the call ends; the copied series are kept, and the problems state how far it got.

    Args:
        address: address of the archive, with filters:
            ``dicomweb://HOST/PATH?StudyDate=20260101-20260131&Modality=CT``. Credentials are read from the environment.
        output: the folder to write to. Calls with other filters add to it.
        segmentations: whether to copy the DICOM segmentations of the same studies too, and write ``manifest.csv`` with
            the series that they belong to.
        progress: called for studies, and for the instances of each series.
        note: called with a line about whatever is skipped or waited for.

    Returns:
        The number of series in the folder, and the problems.

    Raises:
        SettingsError: if the address or the credentials in the environment are invalid, or ``output`` is a file.
        PromiseError: if the archive cannot be searched or has no match, another process copies into the folder, or
            the folder cannot be written.
    """
    output, place = Path(output), Address.parse(address)
    if output.exists() and not output.is_dir():
        raise SettingsError(f"{output}: is a file; expected a folder for the images")
    found, notes = Fetched(output / IMAGES), FetchNotes(output)
    connection = connected(place, Credentials(), note)
    beside = SEGMENTATIONS if segmentations else ()
    source = ArchiveSource(connection, notes, found.problems, progress, note, beside)
    source.search()
    run = _Run(source, notes, found, progress)
    with alone_in(notes.folder, "copying images of an archive"):
        for task in _studies(source, found, progress):
            try:
                run.do(task)
            except ArchiveStoppedError as error:
                found.problems.append(how_far(error, task.number, len(source.studies)))
                return found
            except ArchiveError as error:
                found.problems.append(str(error))
    if segmentations:
        found.made = _manifest(found.folder, output / MANIFEST, note)
    return found


def _studies(source: ArchiveSource[SeriesFiles], found: Fetched, progress: Progress) -> Iterator[Task[SeriesFiles]]:
    """Yield the series of all studies; if the archive can no longer be searched, record a problem and stop."""
    total, done = len(source.studies), 0
    progress("studies", 0, total)
    try:
        for task in source.tasks():
            done = task.number  # those before it are
            progress("studies", done, total)
            yield task
    except ArchiveStoppedError as error:
        found.problems.append(how_far(error, done, total))
    else:
        progress("studies", total, total)


def _move(source: Path, target: Path) -> None:
    """Move a folder to a path that does not exist yet.

    Raises:
        PromiseError: if the folder cannot be moved.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(source)
        source.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise PromiseError(
            f"{target}: cannot be written: {error.strerror or error}. What came is in {source}; nothing is lost. "
            "Choose another folder, or run the same command again"
        ) from error


def _has_pixels(path: Path) -> bool:
    """Whether a DICOM file contains an image; also true for files that cannot be read."""
    try:
        return "Rows" in dcmread(path, stop_before_pixels=True, specific_tags=["Rows"])
    except Exception:  # pydicom raises any kind of error; the image reader will report it
        return True


def _manifest(images: Path, path: Path, note: Note) -> Made | None:
    """Write the manifest of the series with segmentations, or note why it was not written."""
    try:
        return make_manifest(images, path)
    except ManifestError as error:
        note(f"no manifest was written: {error}")
    except PromiseError as error:
        note(f"{path} stays as it is: {error}")
    return None
