"""Read the answers of archives in DICOM JSON."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydicom.datadict import tag_for_keyword

from promise_seg.archives.connection import Response
from promise_seg.archives.errors import ArchiveError

DICOM_JSON = "application/dicom+json"
_MOST_BYTES = 1 << 28
_SAFE = re.compile(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")
_LONGEST = 128

Item = dict[str, Any]
"""A DICOM data set: maps each tag, as eight hexadecimal digits, to its VR and values."""


def items_of(answer: Response) -> list[Item]:
    """Return the data sets in an answer of an archive; an empty list if the answer has no content.

    Raises:
        ArchiveError: if the answer is not DICOM JSON, or has more than 256 MiB.
        BrokenOffError: if the answer ends early.
    """
    content = answer.content(_MOST_BYTES)
    if answer.status == 204 or not content.strip():
        return []
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        kind = answer.headers.get_content_type()
        raise ArchiveError(
            f"the answer is {kind} and not DICOM JSON. Check the path in the address: it is that of the DICOMweb "
            "services, /dicom-web for Orthanc"
        )
    return found


def values(item: Item, keyword: str) -> list[Any]:
    """Return the values of an element; an empty list if it is missing."""
    element = item.get(f"{tag_for_keyword(keyword):08X}")
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def has(item: Item, keyword: str) -> bool:
    """Whether a data set has an element, with or without values."""
    return f"{tag_for_keyword(keyword):08X}" in item


def text(item: Item, keyword: str) -> str:
    """Return the first value of an element as text; an empty string if there is none."""
    found: Sequence[Any] = values(item, keyword)
    return str(found[0]).strip() if found and isinstance(found[0], str | int | float) else ""


def is_uid(found: str) -> bool:
    """Whether an identifier is safe to use as a file name and as a part of a URL; archives may send anything."""
    return len(found) <= _LONGEST and _SAFE.fullmatch(found) is not None


def uid(item: Item, keyword: str) -> str:
    """Return a unique identifier that is safe to use as a file name and as a part of a URL.

    Raises:
        ArchiveError: if it is missing or not safe.
    """
    found = text(item, keyword)
    if not is_uid(found):
        raise ArchiveError(f"the answer has the {keyword} {found[:_LONGEST]!r}, which is not a unique identifier")
    return found
