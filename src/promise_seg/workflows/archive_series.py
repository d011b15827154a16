"""The series of an archive that are to be predicted or kept, and their images."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic

from promise_seg.archives.address import Address
from promise_seg.archives.connection import Connection
from promise_seg.archives.credentials import Credentials
from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError, shown
from promise_seg.archives.filters import OF_SERIES, of_level
from promise_seg.archives.retrieving import retrieve
from promise_seg.archives.searching import Series, find_instances, find_series, find_studies
from promise_seg.images.channels import Channels
from promise_seg.images.exports.inputs import Input, find_inputs
from promise_seg.progress import Progress
from promise_seg.workflows.archive_notes import KnownT, NotesOfSeries, instances_sha256
from promise_seg.workflows.noting import Note


@dataclass(frozen=True)
class Task(Generic[KnownT]):
    """One series to be predicted or kept.

    Args:
        number: the number of its study, from 0.
        series: the series.
        instances: the identifiers of its instances.
        known: the earlier note on the series, if its instances are still the same.
    """

    number: int
    series: Series
    instances: tuple[str, ...]
    known: KnownT | None

    @property
    def instances_sha256(self) -> str:
        """The hash of the instances, which identifies the state of the series."""
        return instances_sha256(self.instances)


class ArchiveSource(Generic[KnownT]):
    """The images that the address of an archive names.

    Args:
        connection: the connection to the archive.
        notes: notes on earlier work.
        problems: list that receives a line for each study or series that cannot be retrieved.
        progress: called for each study and instance.
        note: called with a line for inputs that are left out.
        beside: modalities whose series are all included, whatever the filters on series.
    """

    def __init__(
        self,
        connection: Connection,
        notes: NotesOfSeries[KnownT],
        problems: list[str],
        progress: Progress,
        note: Note,
        beside: Collection[str] = (),
    ) -> None:
        self._connection, self._notes, self._problems, self._beside = connection, notes, problems, beside
        self._progress, self._note = progress, _once(note)
        self.studies: list[str] = []

    def search(self) -> None:
        """Find the studies.

        Raises:
            ArchiveError: if the archive cannot be searched, or has no matching studies.
            ArchiveStoppedError: if the archive cannot be reached.
        """
        self.studies = find_studies(self._connection, self._note)
        if not self.studies:
            raise ArchiveError(f"{self._connection.address.root}: has no studies that fit the filters. Check them")

    def tasks(self) -> Iterator[Task[KnownT]]:
        """Yield all series that may hold images, study by study.

        Raises:
            ArchiveStoppedError: if the archive can no longer be reached.
        """
        for number, study in enumerate(self.studies):
            try:
                yield from self._tasks_of(number, study)
            except ArchiveStoppedError:
                raise
            except ArchiveError as error:
                self._problems.append(str(error))

    def _tasks_of(self, number: int, study: str) -> Iterator[Task[KnownT]]:
        found = find_series(self._connection, study, self._note)
        with_images = [one for one in found if one.may_hold_images]
        where = f"{self._connection.address.root}/studies/{study}"
        if not with_images and (found or not of_level(self._connection.address.filters, OF_SERIES)):
            kinds = shown(", ".join(sorted({one.modality for one in found})))
            self._problems.append(f"{where}: has no images; {f'its series are {kinds}' if kinds else 'it is empty'}")
        beside = [
            one for kind in self._beside for one in find_series(self._connection, study, self._note, {"Modality": kind})
        ]
        for one in dict.fromkeys(with_images + beside):
            instances = tuple(find_instances(self._connection, one))
            known = self._notes.read(one)
            if known is not None and known.instances != instances_sha256(instances):
                known = None  # images were added to the series or removed
            yield Task(number, one, instances, known)

    def fetch(self, task: Task[KnownT]) -> None:
        """Retrieve the images of a series.

        Raises:
            ArchiveError: if some of them cannot be retrieved.
        """
        total = len(task.instances)
        retrieve(
            self._connection, task.series, task.instances, self._notes.images(task.series),
            lambda done: self._progress("retrieving", done, total),
        )  # fmt: skip

    def where(self, series: Series) -> str:
        """Return the address of a series, for messages."""
        return self._connection.address.root + series.path


def connected(address: Address, credentials: Credentials, note: Note) -> Connection:
    """Return a connection to an archive; a note warns if it is not encrypted."""
    if not address.is_encrypted:
        note(f"{address.root}: is not encrypted: whoever is on the way can read images and credentials")
    return Connection(address, credentials, told=note)


def how_far(error: ArchiveStoppedError, done: int, total: int) -> str:
    """Return the message about an archive that can no longer be reached, with the number of finished studies."""
    return (
        f"{error}. So far, {done} of {total} studies are done; nothing is lost, and the same command resumes with "
        "the others"
    )


def inputs_of(series: Series, images: Path, output: Path, channels: Channels | None, note: Note) -> list[Input]:
    """Return the inputs to predict in a retrieved series; outputs are named after the study and the series.

    Raises:
        NoImagesError: if the series holds no images.
        ImageError: if its images cannot be separated or read.
    """
    found = find_inputs([images], note, output, channels)
    return [replace(one, stem=f"{series.study}/{_named(one.stem.rpartition('/')[2], series)}") for one in found]


def _named(stem: str, series: Series) -> str:
    return stem if stem.startswith(series.uid) else f"{series.uid}_{stem}"


def _once(note: Note) -> Callable[[str], None]:
    """Return a function that passes each distinct line on only once."""
    said: set[str] = set()

    def say(line: str) -> None:
        if line not in said:
            said.add(line)
            note(line)

    return say
