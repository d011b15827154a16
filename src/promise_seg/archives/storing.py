"""Store segmentations in an archive (STOW-RS), and verify that they were stored."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from promise_seg.archives.connection import ArchiveRequest, Connection, Response
from promise_seg.archives.dicom_json import DICOM_JSON, Item, items_of, text, values
from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError
from promise_seg.archives.multipart import one_part
from promise_seg.archives.retrying import number_in
from promise_seg.archives.searching import Series, is_listed

_REFUSED = frozenset({400, 409, 415})
"""Status codes whose answers may give the reason why something was not stored."""
_LOOKS = 5
_HAS_IT = 0x0111
_REASONS = {
    0x0110: "it could not process the object",
    _HAS_IT: "it already has an object with this identifier",
    0x0117: "it considers the object invalid",
    0x0122: "it does not store objects of this class",
    0x0124: "this user has no permission to store it",
    0xA700: "it is out of space",
    0xA900: "the object does not match its SOP class",
    0xC000: "it cannot interpret the object",
}
"""Source: DICOM PS3.18, table I.2-2, and PS3.4, table B.2-1."""


@dataclass(frozen=True)
class _Failure:
    """An archive's answer that it did not store an instance.

    Args:
        reason: reason for the failure.
        may_be_there: whether the archive may have the instance anyway, from before or from a request that seemed to
            fail.
    """

    reason: str
    may_be_there: bool


def store(connection: Connection, path: Path, wait: Callable[[int], object]) -> bool:
    """Store a DICOM file, and verify that the archive has it, as some archives report success without storing it.

    A file whose identifier the archive already lists is not sent.

    Args:
        connection: connection to the archive.
        path: path of the file.
        wait: called before each further check with the number of checks that did not find the file; archives may take
            a moment to list new files.

    Returns:
        Whether the file was sent.

    Raises:
        ArchiveError: if the file was not stored, or is not a DICOM file.
        ArchiveStoppedError: if the archive can no longer be reached.
    """
    series, instance = _identified(path)
    if is_listed(connection, series, instance):
        return False
    body, kind = one_part(path.read_bytes())
    request = ArchiveRequest("/studies", DICOM_JSON, body=body, content_type=kind, passing=_REFUSED)
    failure = connection.exchange(request, lambda answer: _failure_in(answer, instance))
    looks = _LOOKS if failure is None or failure.may_be_there else 1
    for look in range(1, looks + 1):
        if is_listed(connection, series, instance) or _is_had(connection, series, instance):
            return True
        if look < looks:
            wait(look)
    if failure is not None:
        raise ArchiveError(f"{path}: was not stored by {connection.address.root}: {failure.reason}")
    raise ArchiveError(
        f"{path}: {connection.address.root} confirmed that it stored the file, but does not list it. Ask the "
        "administrator of the archive; the file itself is unharmed, and the same command sends it again"
    )


def _identified(path: Path) -> tuple[Series, str]:
    try:
        header = dcmread(path, stop_before_pixels=True)
        return Series(header.StudyInstanceUID, header.SeriesInstanceUID), header.SOPInstanceUID
    except Exception as error:  # pydicom raises whatever it runs into
        raise ArchiveError(
            f"{path}: is not a complete DICOM file, so it cannot be sent. Remove it, and predict again"
        ) from error


def _failure_in(answer: Response, instance: str) -> _Failure | None:
    """Return the failure that an answer reports for an instance; None if it reports none."""
    try:
        items = items_of(answer)
    except ArchiveError:  # the answer is in XML, for example
        items = []
    for item in items:
        for failed in values(item, "FailedSOPSequence"):
            if isinstance(failed, dict) and text(failed, "ReferencedSOPInstanceUID") in ("", instance):
                number = number_in(text(failed, "FailureReason"))
                return _Failure(_reason_of(number), answer.failures > 0 or number == _HAS_IT)
    return None if answer.status < 300 else _Failure(f"it answers {answer.status}", answer.failures > 0)


def _reason_of(number: int | None) -> str:
    if number is None:
        return "it gives no reason"
    known = _REASONS.get(number) or _REASONS.get(number & 0xFF00 if number < 0xC000 else 0xC000)
    return f"{known or 'it gives a reason that promise-seg does not know'} (failure reason {number:#06x})"


def _is_had(connection: Connection, series: Series, instance: str) -> bool:
    """Whether an archive returns the metadata of an instance, even if it does not list it."""
    path = f"{series.path}/instances/{instance}/metadata"
    try:
        items = connection.exchange(ArchiveRequest(path, DICOM_JSON, passing=frozenset({404, 410})), _metadata_in)
    except ArchiveStoppedError:
        raise
    except ArchiveError:
        return False
    return any(text(item, "SOPInstanceUID") == instance for item in items)


def _metadata_in(answer: Response) -> list[Item]:
    return items_of(answer) if answer.status < 300 else []
