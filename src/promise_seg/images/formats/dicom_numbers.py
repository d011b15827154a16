"""Repair numbers in DICOM headers as other programs read them: decimal commas, text, NaN, and empty elements."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from math import isfinite
from typing import Any

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import DSfloat

from promise_seg.images.formats.dicom_faults import PARSE_ERRORS

_LONGEST = 40
_LEAST_SINE = 0.5


@dataclass(frozen=True)
class Rule:
    """The values that an element may have.

    Args:
        vr: value representation; ``US or SS`` depends on whether the pixels are signed.
        count: number of values; 0 for one or more.
        least: lowest value allowed.
    """

    vr: str
    count: int = 1
    least: float = -np.inf

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        return self.vr in ("IS", "US", "US or SS")


_LEAST_SIZE = 1e-9
_RULES = {
    "Rows": Rule("US", least=1),
    "Columns": Rule("US", least=1),
    "SamplesPerPixel": Rule("US", least=1),
    "BitsAllocated": Rule("US", least=1),
    "BitsStored": Rule("US", least=1),
    "HighBit": Rule("US", least=0),
    "PixelRepresentation": Rule("US", least=0),
    "PlanarConfiguration": Rule("US", least=0),
    "NumberOfFrames": Rule("IS", least=0),
    "ImagePositionPatient": Rule("DS", 3),
    "ImageOrientationPatient": Rule("DS", 6),
    "PixelSpacing": Rule("DS", 2, _LEAST_SIZE),
    "ImagerPixelSpacing": Rule("DS", 2, _LEAST_SIZE),
    "SliceThickness": Rule("DS", least=0),
    "RescaleSlope": Rule("DS"),
    "RescaleIntercept": Rule("DS"),
    "WindowCenter": Rule("DS", 0),
    "WindowWidth": Rule("DS", 0, _LEAST_SIZE),
    "PixelPaddingValue": Rule("US or SS"),
    "PixelPaddingRangeLimit": Rule("US or SS"),
    "SeriesNumber": Rule("IS"),
    "InstanceNumber": Rule("IS"),
    "AcquisitionNumber": Rule("IS"),
    "EchoNumbers": Rule("IS", 0),
    "TemporalPositionIdentifier": Rule("IS"),
    "TriggerTime": Rule("DS"),
    "DiffusionBValue": Rule("FD"),
}
_TAGS = {name: tag_for_keyword(name) for name in _RULES}
_NEEDED = ("Rows", "Columns", "NumberOfFrames")
_RESCALING = {"RescaleSlope": 1.0, "RescaleIntercept": 0.0}
_LENGTH_TOLERANCE = 0.02


def mend_numbers(dataset: Dataset, signed: bool | None = None) -> Iterator[str]:
    """Repair the numeric elements of a data set or of an item in place; yield a note on each repair.

    An element whose number cannot be recovered is removed. Source of the rules: ``gdcm`` (in ITK and 3D Slicer) and
    ``dcm2niix``.

    Args:
        dataset: data set to repair.
        signed: whether the pixels are signed, for elements whose type depends on it; by default read from ``dataset``.

    Raises:
        ValueError: if an element that is required to interpret the pixels is not a number.
    """
    for name, rule in _RULES.items():
        tag = _TAGS[name]
        if tag is not None and tag in dataset and not _is_sound(dataset, name, rule):
            yield from _mend(dataset, name, rule, signed)
    yield from _mend_direction(dataset)
    yield from _mend_rescaling(dataset)


def _values(dataset: Dataset, name: str) -> list[Any]:
    """Return the values of an element as the library parses them.

    Raises:
        PARSE_ERRORS: if the library cannot parse the element.
    """
    value = dataset[name].value
    if value is None or isinstance(value, str | bytes):
        return [value] if value else []
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


def _is_sound(dataset: Dataset, name: str, rule: Rule) -> bool:
    try:
        values = _values(dataset, name)
    except PARSE_ERRORS:
        return False
    if not values or rule.count not in (0, len(values)):
        return False
    return all(_is_stored_well(value, rule) and _fits(value, rule) for value in values)


def _is_stored_well(value: object, rule: Rule) -> bool:
    """Whether a value is a number of the right type that other programs read alike: Python reads 1_0 as 10."""
    is_number = isinstance(value, int if rule.is_whole else int | float) and not isinstance(value, bool)
    return is_number and "_" not in str(getattr(value, "original_string", ""))


def _fits(value: float, rule: Rule) -> bool:
    return isfinite(value) and value >= rule.least and (not rule.is_whole or value == int(value))


def _mend(dataset: Dataset, name: str, rule: Rule, signed: bool | None) -> Iterator[str]:
    texts = _texts(dataset, name)
    numbers = [_number(text, rule) for text in texts]
    wanted = rule.count or len(numbers)
    if len(numbers) == 1 and wanted == 2:
        numbers *= 2  # square pixels
    kept = [number for number in takewhile(lambda number: number is not None, numbers[:wanted]) if number is not None]
    if not rule.count:
        wanted = max(1, len(kept))  # of several values, the first is used
    found = shown(texts)
    if not texts:
        del dataset[name]
        if name in _RESCALING:
            yield f"its {name} is empty, and is left out"
    elif name in _NEEDED and len(kept) != wanted:
        raise ValueError(f"its {name} ({found}) is not {_expected(rule)}")
    elif len(kept) == wanted:
        _set(dataset, name, rule, kept, signed)
        yield f"its {name} ({found}) is read as {shown(kept)}"
    else:
        del dataset[name]
        yield f"its {name} ({found}) is not {_expected(rule)}, and is left out"


def _expected(rule: Rule) -> str:
    what = "whole number" if rule.is_whole else "number"
    above = "" if rule.least == -np.inf else " above 0" if rule.least > 0 else " of 0 or more"
    return f"{rule.count} {what}s{above}" if rule.count > 1 else f"a {what}{above}"


def _texts(dataset: Dataset, name: str) -> list[str]:
    """Return the values of an element as text, whatever its declared type."""
    tag = _TAGS[name]
    item: Any = dataset.get_item(tag) if tag is not None else None
    value: Any = item.value if isinstance(item, RawDataElement) else getattr(item, "value", None)
    if isinstance(item, RawDataElement) and item.VR in ("US", "SS", "UL", "SL", "FL", "FD"):
        try:
            value = dataset[name].value
        except PARSE_ERRORS:
            return [f"{len(item.value or b'')} bytes"]
    if isinstance(value, bytes):
        value = value.decode("latin-1").split("\\")
    elif isinstance(value, Sequence):
        value = [f"a sequence of {len(value)}"]
    elif isinstance(value, str):
        value = value.split("\\")
    elif not isinstance(value, MultiValue | list | tuple):
        value = [] if value is None else [value]
    texts = [str(one).strip(" \0\t\r\n") for one in value]
    return texts if any(texts) else []


def _number(text: str, rule: Rule) -> float | None:
    """Parse a number, also with a decimal comma; ``None`` if it is not a number or not valid for the element."""
    if "_" in text:
        return None
    for one in (text, text.replace(",", ".")):
        try:
            number = float(one)
        except ValueError:
            continue
        return number if _fits(number, rule) else None
    return None


def _set(dataset: Dataset, name: str, rule: Rule, numbers: list[float], signed: bool | None) -> None:
    vr = rule.vr
    if vr == "US or SS":
        is_signed = dataset.get("PixelRepresentation") == 1 if signed is None else signed
        vr = "SS" if is_signed or numbers[0] < 0 else "US"
    values: list[Any] = [int(number) for number in numbers] if rule.is_whole else numbers
    if vr == "DS":
        values = [DSfloat(number, auto_format=True) for number in numbers]
    del dataset[name]
    tag = _TAGS[name]
    if tag is not None:
        dataset.add_new(tag, vr, values if len(values) > 1 else values[0])


def _mend_direction(dataset: Dataset) -> Iterator[str]:
    """Remove directions of rows and columns that are far from perpendicular, and normalize others to unit length."""
    name = "ImageOrientationPatient"
    if name not in dataset:
        return
    found = [float(value) for value in dataset[name].value]
    vectors = np.array(found).reshape(2, 3)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    if np.linalg.norm(np.cross(*unit)) <= _LEAST_SINE:
        del dataset[name]
        yield f"its {name} ({shown(found)}) is not a direction, and is left out"
    elif np.abs(lengths - 1).max() > _LENGTH_TOLERANCE:
        numbers = [float(value) for value in unit.ravel()]
        _set(dataset, name, _RULES[name], numbers, None)
        yield f"its {name} ({shown(found)}) is read as {shown(numbers)}"


def _mend_rescaling(dataset: Dataset) -> Iterator[str]:
    """Add a missing slope or intercept, and replace a slope of 0, which would erase the image."""
    found = [name for name in _RESCALING if name in dataset]
    if "RescaleSlope" in found and dataset.RescaleSlope == 0:
        dataset.RescaleSlope = 1
        yield "its RescaleSlope is 0, and is read as 1"
    if len(found) == 1:
        missing = next(name for name in _RESCALING if name not in found)
        setattr(dataset, missing, _RESCALING[missing])
        yield f"it has a {found[0]} but no {missing}, which is read as {_RESCALING[missing]:g}"


def shown(values: list[Any]) -> str:
    """Return values as one short line of text."""
    words = "\\".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values)
    words = "".join(letter if letter.isprintable() else "?" for letter in words)
    return words if len(words) <= _LONGEST else words[: _LONGEST - 3] + "..."
