"""The pixel size of a TIFF, as OME-TIFF, ImageJ and Aperio slides state it.

The plain resolution of a TIFF, in dots per inch or per centimetre, is ignored: image editors write one for printing
into any file, and ImageJ passes it on.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import tifffile
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from promise_seg.images.formats.orientation import is_size
from promise_seg.images.formats.tiff_images import leading_axes, own_series

_MICROMETRE = "µm"
_MM_OF = {
    "m": 1000.0, "dm": 100.0, "cm": 10.0, "mm": 1.0, _MICROMETRE: 1e-3, "nm": 1e-6, "pm": 1e-9, "Å": 1e-7,
    "in": 25.4,
}  # fmt: skip
_OTHER_NAMES = {
    "um": _MICROMETRE, "μm": _MICROMETRE, "micron": _MICROMETRE, "microns": _MICROMETRE, "micrometer": _MICROMETRE,
    "micrometers": _MICROMETRE, "micrometre": _MICROMETRE, "micrometres": _MICROMETRE, "millimeter": "mm",
    "millimeters": "mm", "millimetre": "mm", "millimetres": "mm", "nanometer": "nm", "nanometers": "nm",
    "nanometre": "nm", "nanometres": "nm",
}  # fmt: skip
"""Other names of units; one of them has the Greek letter mu instead of the micro sign."""
_FOR_PRINTING = ("in", "inch", "inches", "cm")
"""Units that ImageJ takes from the printing resolution of any TIFF that it opens."""
_ESCAPED = {"\\u00B5": "µ", "\\u03BC": "µ"}
"""The micro sign as ImageJ writes it."""
_MPP = re.compile(r"(?:^|\|)\s*MPP\s*=\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(?:\||$)")
_LEAST_MM = 1e-9
_ALONG_Z = "Z"


class PixelSize(NamedTuple):
    """The distances between rows, columns and slices in mm; ``None`` for slices if a file does not state it."""

    rows: float
    columns: float
    slices: float | None = None


def pixel_size_of(file: tifffile.TiffFile) -> PixelSize | None:
    """Return the pixel size of a file; ``None`` if it states none that is usable, or different ones.

    The distance between slices is left out unless all pages are one stack along Z: other pages are time points, or
    images of different places.
    """
    if file.is_svs:
        words = _MPP.search(file.pages.first.description)
        size = None if words is None else _length(words[1], _MICROMETRE)
        return None if size is None else PixelSize(size, size)
    found = _of_ome(file.ome_metadata or "") if file.is_ome else _of_imagej(file) if file.is_imagej else None
    if found is None:
        return None
    own = own_series(file)
    is_along_z = len(own) == 1 and leading_axes(own[0]).replace("C", "") == _ALONG_Z
    return found if is_along_z else found._replace(slices=None)


def _of_ome(text: str) -> PixelSize | None:
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, DefusedXmlException, ValueError):
        return None
    sizes = {_of_pixels(one.attrib) for one in root.iter() if one.tag.rpartition("}")[2] == "Pixels"}
    return sizes.pop() if len(sizes) == 1 else None


def _of_pixels(facts: Mapping[str, str]) -> PixelSize | None:
    across, down, between = (
        _length(facts.get(f"PhysicalSize{axis}"), facts.get(f"PhysicalSize{axis}Unit", _MICROMETRE)) for axis in "XYZ"
    )
    return None if across is None or down is None else PixelSize(down, across, between)


def _of_imagej(file: tifffile.TiffFile) -> PixelSize | None:
    facts: Mapping[str, object] = file.imagej_metadata or {}
    unit, tags = facts.get("unit"), file.pages.first.tags
    if not isinstance(unit, str) or "XResolution" not in tags or "YResolution" not in tags:
        return None
    for escaped, sign in _ESCAPED.items():
        unit = unit.replace(escaped, sign)
    if unit.strip().lower() in _FOR_PRINTING:
        return None
    across, down = (
        _length(parts / pixels if pixels else None, unit)
        for pixels, parts in (tags[name].value for name in ("XResolution", "YResolution"))
    )
    between = _length(facts.get("spacing"), unit)
    return None if across is None or down is None else PixelSize(down, across, between)


def _length(value: object, unit: str) -> float | None:
    """Return a length in mm; ``None`` if it is not a plausible number, or its unit is not a unit of length."""
    in_mm = _MM_OF.get(_OTHER_NAMES.get(unit.strip(), unit.strip()))
    try:
        length = float(value) * in_mm if isinstance(value, str | int | float) and in_mm is not None else 0.0
    except (ValueError, OverflowError):
        return None
    return length if is_size(length) and length >= _LEAST_MM else None
