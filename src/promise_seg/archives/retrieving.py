"""Retrieve the images of a series into a folder (WADO-RS), only those that are not there yet."""

from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path

from pydicom import dcmread

from promise_seg.archives.connection import ArchiveRequest, Connection, Response
from promise_seg.archives.dicom_json import is_uid
from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError, BrokenOffError
from promise_seg.archives.multipart import Parts, boundary_of
from promise_seg.archives.searching import Series
from promise_seg.errors import PromiseError
from promise_seg.files import Sync, passing, replacing

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Whole files, in the transfer syntax that the archive has them in: nothing is decoded and encoded again on the way."""
_SUFFIX = ".dcm"


def retrieve(
    connection: Connection,
    series: Series,
    instances: Sequence[str],
    folder: Path,
    progress: Callable[[int], object] = int,
) -> None:
    """Bring all instances of a series into a folder, each as ``<identifier>.dcm``, whole or not at all.

    What is there already stays and is not asked for again, but images that are no longer in the series go: they would
    become a part of its volume. An answer that breaks off is used as far as it came. The first instance that cannot be
    had ends it, as a part of a series is of no use, and asking for each of the others would take hours.

    Args:
        connection: to the archive.
        series: the series.
        instances: the identifiers of its instances.
        folder: for the files.
        progress: told how many are there.

    Raises:
        ArchiveError: if one cannot be had; what came is there.
        ArchiveStoppedError: if the archive cannot be reached any more.
        PromiseError: if the system cannot write there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = _leave_alone(frozenset(instances), folder)
    missing = {one for one in instances if one not in there}
    known, reasons = frozenset(instances), list[str]()

    def take(answer: Response) -> None:
        came = 0
        try:
            for instance in _instances_in(answer, known, folder):
                came += 1
                missing.discard(instance)
                progress(len(instances) - len(missing))
        except HTTPException:
            if not came:
                raise

    def ask_for(path: str) -> None:
        try:
            connection.exchange(ArchiveRequest(path, AS_STORED), take)
        except ArchiveStoppedError:
            raise
        except ArchiveError as error:
            reasons.append(str(error))

    if len(missing) == len(instances):
        ask_for(series.path)
    for one in sorted(missing):
        ask_for(f"{series.path}/instances/{one}")
        if one in missing:
            break
    if missing:
        reason = reasons[-1] if reasons else f"the archive answers without them, such as {min(missing)}"
        raise _incomplete(f"{connection.address.root}{series.path}", len(missing), len(instances), reason)


def _incomplete(where: str, missing: int, total: int, reason: str) -> ArchiveError:
    return ArchiveError(
        f"{where}: {missing} of {total} instances did not come, and a part of a series is not used: {reason}"
    )


def _leave_alone(instances: frozenset[str], folder: Path) -> set[str]:
    """Remove the images that are not in the series (any more), and return the identifiers of the others.

    Raises:
        PromiseError: if the system cannot write there.
    """
    found = {path.stem: path for path in folder.glob(f"*{_SUFFIX}")}
    for instance in found.keys() - instances:
        try:
            found[instance].unlink(missing_ok=True)
        except OSError as error:
            raise PromiseError(
                f"{found[instance]}: is not in the series any more, and cannot be removed: {error.strerror or error}. "
                "Remove it, and run the same command again"
            ) from error
    return found.keys() & instances


def _instances_in(answer: Response, known: frozenset[str], folder: Path) -> Iterator[str]:
    """Yield the identifiers of the files that an answer holds, once each is whole on the disk."""
    parts = Parts(answer.chunks(), boundary_of(answer.headers.get("Content-Type", "")))
    for pieces in parts:
        with passing(folder / f"part{_SUFFIX}") as temporary:
            with replacing(temporary, Sync.FILE) as written, written.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
            if not parts.part_is_complete:
                break  # the answer broke off in it
            instance = _identifier_in(temporary)
            if instance in known:  # others came into the series meanwhile
                temporary.replace(folder / f"{instance}{_SUFFIX}")
                yield instance
    if not parts.is_complete:
        raise BrokenOffError("its end is missing")


def _identifier_in(path: Path) -> str:
    """Return the identifier of a DICOM file.

    Raises:
        ArchiveError: if it is not one.
    """
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        element = header.get_item("SOPInstanceUID")  # as it is in the file, without warnings of what it should be
        found = bytes(element.value).decode("ascii").strip("\0 ") if element is not None and element.value else ""
    except Exception as error:  # pydicom raises whatever it runs into
        raise ArchiveError("answers with a part that is not a DICOM file") from error
    if not is_uid(found):
        raise ArchiveError("answers with a DICOM file without a unique identifier")
    return found
