"""Retrieve the images of a series into a folder (WADO-RS), except those that are already there."""

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
from promise_seg.storage.files import Sync, passing, replacing

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""The content type of whole files in the transfer syntax that the archive stores, so that nothing is re-encoded."""
_SUFFIX = ".dcm"


def retrieve(
    connection: Connection,
    series: Series,
    instances: Sequence[str],
    folder: Path,
    progress: Callable[[int], object] = int,
) -> None:
    """Retrieve all instances of a series into a folder, each as ``<identifier>.dcm``, complete or not at all.

    Existing files are kept and not requested again, but images that are no longer in the series are removed, as they
    would become a part of its volume. The complete files of an answer that ends early are used. Retrieval stops at the
    first instance that cannot be retrieved: a part of a series is of no use, and requesting the others may take hours.

    Args:
        connection: connection to the archive.
        series: the series.
        instances: identifiers of its instances.
        folder: folder for the files; created if needed.
        progress: called with the number of instances that are in the folder.

    Raises:
        ArchiveError: if an instance cannot be retrieved; files retrieved so far are kept.
        ArchiveStoppedError: if the archive can no longer be reached.
        PromiseError: if files cannot be written or removed.
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
        reason = reasons[-1] if reasons else f"the archive did not send them, such as {min(missing)}"
        raise _incomplete(f"{connection.address.root}{series.path}", len(missing), len(instances), reason)


def _incomplete(where: str, missing: int, total: int, reason: str) -> ArchiveError:
    return ArchiveError(
        f"{where}: {missing} of {total} instances were not received, and an incomplete series is not used: {reason}"
    )


def _leave_alone(instances: frozenset[str], folder: Path) -> set[str]:
    """Remove the images that are not (or no longer) in the series, and return the identifiers of the others.

    Raises:
        PromiseError: if a file cannot be removed.
    """
    found = {path.stem: path for path in folder.glob(f"*{_SUFFIX}")}
    for instance in found.keys() - instances:
        try:
            found[instance].unlink(missing_ok=True)
        except OSError as error:
            raise PromiseError(
                f"{found[instance]}: is no longer in the series, and cannot be removed: {error.strerror or error}. "
                "Remove it, and run the same command again"
            ) from error
    return found.keys() & instances


def _instances_in(answer: Response, known: frozenset[str], folder: Path) -> Iterator[str]:
    """Yield the identifiers of the files in an answer, each after it was written completely.

    Raises:
        ArchiveError: if a part is not a DICOM file.
        BrokenOffError: if the answer ends early.
    """
    parts = Parts(answer.chunks(), boundary_of(answer.headers.get("Content-Type", "")))
    for pieces in parts:
        with passing(folder / f"part{_SUFFIX}") as temporary:
            with replacing(temporary, Sync.FILE) as written, written.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
            if not parts.part_is_complete:
                break  # the answer ended within this part
            instance = _identifier_in(temporary)
            if instance in known:  # others were added to the series meanwhile
                temporary.replace(folder / f"{instance}{_SUFFIX}")
                yield instance
    if not parts.is_complete:
        raise BrokenOffError("its end is missing")


def _identifier_in(path: Path) -> str:
    """Return the identifier (SOPInstanceUID) of a DICOM file.

    Raises:
        ArchiveError: if it is not a DICOM file, or its identifier is missing or not safe as a file name.
    """
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        element = header.get_item("SOPInstanceUID")  # the raw element, without warnings about invalid values
        found = bytes(element.value).decode("ascii").strip("\0 ") if element is not None and element.value else ""
    except Exception as error:  # pydicom raises whatever it runs into
        raise ArchiveError("the answer has a part that is not a DICOM file") from error
    if not is_uid(found):
        raise ArchiveError("the answer has a DICOM file without a unique identifier (SOPInstanceUID)")
    return found
