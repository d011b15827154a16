"""The patient, study and series of a DICOM image, from its header."""

from dataclasses import dataclass
from pathlib import Path

from promise_seg.errors import PromiseError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_faults import PARSE_ERRORS
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, read_dataset
from promise_seg.images.formats.kinds import kind_of
from promise_seg.images.formats.series_files import dicom_files

_NO_NAMES = frozenset(
    {"", "0", "00", "000", "0000", "x", "xx", "xxx", "xxxx", "none", "null", "unknown", "patient", "patientid", "id",
     "na", "nan"}
)  # fmt: skip
_ANONYMOUS = "anon"


@dataclass(frozen=True)
class Identifiers:
    """The identifiers of an image; ``patient`` is empty if it is a placeholder of an anonymised file."""

    patient: str
    study: str
    series: str


def identifiers_of(path: Path) -> Identifiers | None:
    """Read the identifiers of a DICOM file, or of the first image of a folder; ``None`` if it has none."""
    try:
        kind = kind_of(path)
        if path.is_dir():
            headers = (read_dataset(file, pixels=False) for file in dicom_files(path))
            header = next((one for one in headers if str(one.SOPClassUID) not in SEGMENTATION_CLASSES), None)
        else:
            header = read_dataset(path, pixels=False) if kind is DicomImage else None
        if header is None:
            return None
        names = (str(header.get(name) or "").strip() for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"))
    except (PromiseError, OSError, *PARSE_ERRORS):
        return None
    else:
        patient, study, series = names
        found = Identifiers("" if _is_nobody(patient) else patient, study, series)
        return found if found.patient or study or series else None


def _is_nobody(patient: str) -> bool:
    word = "".join(character for character in patient.lower() if character.isalnum())
    return word in _NO_NAMES or word.startswith(_ANONYMOUS)
