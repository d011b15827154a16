"""DICOM elements that a segmentation copies from its images; elements that break a rule are left out or emptied."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from typing import Any

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import PIXEL_KEYWORDS, Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DA, DT, TM, validate_value

_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Elements that a segmentation must have, though their values may be empty."""
_KEPT = (
    "PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID",
    "FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
"""Elements that identify the images or state their geometry; they are copied even if they break a rule."""
_WORDS = {
    "PatientSex": "M F O",
    "PatientSexNeutered": "ALTERED UNALTERED",
    "PatientIdentityRemoved": "YES NO",
    "QualityControlSubject": "YES NO",
    "SmokingStatus": "YES NO UNKNOWN",
    "TypeOfPatientID": "TEXT RFID BARCODE",
    "LongitudinalTemporalInformationModified": "UNMODIFIED MODIFIED REMOVED",
    "LossyImageCompression": "00 01",
}
"""Allowed values of some elements. Source: DICOM PS3.3, C.7.1.1, C.7.2.2, C.12.1 and C.7.6.1."""
_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_NEEDED = {
    "OtherPatientIDsSequence": ("PatientID", "TypeOfPatientID"),
    "ReferencedStudySequence": ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"),
    "ReferencedPatientSequence": ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"),
}
"""Required elements in the items of some sequences. Items with codes have rules of their own."""
_UTF8 = "ISO_IR 192"
_DATES = {"DA": DA, "TM": TM, "DT": DT}


def completed(dataset: Dataset) -> Dataset:
    """Return a copy of a data set without pixels, in UTF-8, with the elements that a segmentation requires.

    Anonymised files often lack required elements. Character sets in files from hospitals can be multi-valued, empty or
    misspelt, which ``highdicom`` does not accept.
    """
    found = Dataset()
    encoding = dataset.get("SpecificCharacterSet") or "ISO_IR 6"
    for tag in dataset.keys():  # noqa: SIM118 (the tags: a data set iterates over elements)
        if tag.is_private or tag in PIXEL_KEYWORDS:
            continue
        with suppress(Exception):  # pydicom may raise any error; the element may not be needed
            element = Dataset(parent_encoding=encoding)
            element.add(copy(dataset[tag]))
            element.decode()
            if element[tag].keyword == "OtherPatientIDsSequence":
                element[tag].value = [_typed(item) for item in element[tag].value]
            if _is_sound(element[tag]) or element[tag].keyword in _KEPT:
                found.add(element[tag])
    found.add_new("SpecificCharacterSet", "CS", _UTF8)  # a new element, as the old one belongs to the image
    for name in _MAY_BE_EMPTY:  # must be present, may be empty
        if name not in found:
            setattr(found, name, "")
    removed = found.get("PatientIdentityRemoved") == "YES"
    if removed and not (found.get("DeidentificationMethod") or found.get("DeidentificationMethodCodeSequence")):
        found.DeidentificationMethod = "Not stated by the image"
    return found


def _typed(item: Dataset) -> Dataset:
    """Return a copy of an additional patient identifier with its type, which many files leave out."""
    typed = Dataset()
    typed.update(item)
    typed.TypeOfPatientID = item.get("TypeOfPatientID") or "TEXT"
    return typed


def _is_sound(element: DataElement) -> bool:
    """Whether an element has a valid VR, number of values and, where known, one of the allowed values."""
    keyword = element.keyword
    if not keyword:
        return False
    if element.VR == "SQ":
        return all(_is_sound_item(keyword, item) for item in element.value)
    if dictionary_VR(element.tag) != element.VR and element.VR not in dictionary_VR(element.tag):
        return False
    values = list(element.value) if isinstance(element.value, MultiValue | list) else [element.value]
    if len(values) > 1 and dictionary_VM(element.tag) == "1":
        return False
    if keyword in _WORDS and any(value not in _WORDS[keyword].split() for value in values if value):
        return False
    return all(_is_sound_value(element.VR, value) for value in values)


def _is_sound_item(sequence: str, item: Dataset) -> bool:
    needed = _NEEDED.get(sequence, ())
    if any(item.get(name) for name in (*_CODE, "LongCodeValue", "URNCodeValue")):
        value = next((name for name in ("CodeValue", "LongCodeValue", "URNCodeValue") if item.get(name)), _CODE[0])
        needed = (value, *(_CODE[1:] if value != "URNCodeValue" else _CODE[2:]))
    elif sequence.endswith("CodeSequence"):
        return False
    return all(item.get(name) for name in needed) and all(map(_is_sound, _elements(item)))


def _elements(item: Dataset) -> Iterator[DataElement]:
    return (element for element in item if not element.tag.is_private)


def _is_sound_value(kind: str, value: Any) -> bool:
    if value is None or value == "":
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            validate_value(kind, getattr(value, "original_string", value), RAISE)
            if kind in _DATES:
                _DATES[kind](str(value))
    except (AttributeError, TypeError, ValueError, UserWarning):
        return False
    return True
