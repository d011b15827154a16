"""The filters of a search: the known keywords of studies and of series, and whether values match a filter."""

import difflib
import fnmatch
import re
from collections.abc import Mapping, Sequence

from pydicom.datadict import dictionary_VR, tag_for_keyword

from promise_seg.errors import SettingsError

OF_STUDIES = frozenset({
    "StudyDate", "StudyTime", "StudyInstanceUID", "StudyID", "StudyDescription", "AccessionNumber", "PatientID",
    "PatientName", "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "ModalitiesInStudy", "IssuerOfPatientID",
})  # fmt: skip
OF_SERIES = frozenset({
    "Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SeriesDate", "BodyPartExamined",
    "Laterality", "ProtocolName", "Manufacturer", "ManufacturerModelName", "StationName", "InstitutionName",
    "PerformedProcedureStepStartDate",
})  # fmt: skip
_KINDS_OF_TEXT = frozenset({"CS", "LO", "SH", "LT", "ST", "AE", "UI", "IS"})


def checked_filters(shown: str, given: Mapping[str, str]) -> dict[str, str]:
    """Check filters, and return them with keywords in place of tags.

    Args:
        shown: address of the archive, for messages.
        given: keywords, or tags such as ``00080020``, with their values.

    Raises:
        SettingsError: if a name is not a keyword of studies or series or is given twice, or a value is empty or has
            control characters. The message does not show the value, which may be a secret given by mistake.
    """
    known = {f"{tag_for_keyword(name):08X}": name for name in OF_STUDIES | OF_SERIES}
    found: dict[str, str] = {}
    for name, value in given.items():
        keyword = known.get(name.upper(), name)
        if keyword not in OF_STUDIES | OF_SERIES:
            close = difflib.get_close_matches(name, OF_STUDIES | OF_SERIES, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise SettingsError(
                f"{shown}: {name} is not a filter of studies or series.{hint} Expected one of "
                f"{', '.join(sorted(OF_STUDIES | OF_SERIES))}"
            )
        if not value or any(ord(character) < 32 for character in value):
            raise SettingsError(f"{shown}: the filter {name} has no value that can be looked for. Give one after =")
        if keyword in found:
            raise SettingsError(f"{shown}: {keyword} is given twice")
        found[keyword] = value
    return found


def of_level(filters: Mapping[str, str], level: frozenset[str]) -> dict[str, str]:
    """Return the filters of a level; for studies, a filter ``Modality`` is added as ``ModalitiesInStudy``."""
    found = {name: value for name, value in filters.items() if name in level}
    if level is OF_STUDIES and "Modality" in filters:
        found.setdefault("ModalitiesInStudy", filters["Modality"])
    return found


def fits(keyword: str, wanted: str, values: Sequence[object]) -> bool:
    """Whether the values that an archive returns for a keyword match a filter, as far as this can be checked.

    Archives may ignore filters that they do not know. Person names and times always match, as archives differ in how
    they compare them.
    """
    kind = dictionary_VR(keyword)
    texts = [str(value).strip() for value in values if value is not None]
    if kind == "DA":
        return not texts or all(_is_between(text, wanted) for text in texts)
    if kind not in _KINDS_OF_TEXT or not texts:
        return True
    patterns = [re.compile(fnmatch.translate(_plain(one)), re.IGNORECASE) for one in _listed(kind, wanted)]
    return any(pattern.match(text) for pattern in patterns for text in texts)


def _plain(pattern: str) -> str:
    return pattern.replace("[", "[[]").strip()


def _listed(kind: str, wanted: str) -> list[str]:
    return re.split(r"[,\\]", wanted) if kind in ("UI", "CS") else wanted.split("\\")


def _is_between(date: str, wanted: str) -> bool:
    first, dash, last = wanted.partition("-")
    if not dash:
        return date == wanted
    return (not first or first <= date) and (not last or date <= last)
