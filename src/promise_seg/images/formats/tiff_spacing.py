"""How large the pixels of a TIFF are, as OME-TIFF, ImageJ and Aperio's slides state it.

The plain resolution of a TIFF, in dots per inch or per centimetre, is left aside: programs for pictures write one into
any file, for printing.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import tifffile
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

_MICROMETRE = "µm"
_MM_OF = {
    "m": 1000.0, "dm": 100.0, "cm": 10.0, "mm": 1.0, _MICROMETRE: 1e-3, "nm": 1e-6, "pm": 1e-9, "Å": 1e-7,
    "in": 25.4, "inch": 25.4,
}  # fmt: skip
_OTHER_NAMES = {
    "um": _MICROMETRE, "μm": _MICROMETRE, "micron": _MICROMETRE, "microns": _MICROMETRE, "micrometer": _MICROMETRE,
    "micrometre": _MICROMETRE, "inches": "in", "millimeter": "mm", "millimetre": "mm", "nanometer": "nm",
    "nanometre": "nm",
}  # fmt: skip
"""Other names of units; one of them has a Greek letter in place of the sign for a millionth."""
_MPP = re.compile(r"\bMPP *= *([0-9.]+)")


class PixelSize(NamedTuple):
    """The distances between rows, columns and slices in mm; ``None`` where a file does not state it."""

    rows: float
    columns: float
    slices: float | None = None


def pixel_size_of(file: tifffile.TiffFile) -> PixelSize | None:
    """Return the size of the pixels of the first image in a file; ``None`` if the file does not state a usable one.

    The distance between slices is left out where the pages are not slices along Z, but points of time or channels.
    """
    found = _of_ome(file.ome_metadata or "") if file.is_ome else _of_imagej(file) if file.is_imagej else None
    if found is not None:
        return found if "Z" in file.series[0].axes else found._replace(slices=None)
    if file.is_svs:
        words = _MPP.search(file.pages.first.description)
        size = None if words is None else _length(words[1], _MICROMETRE)
        return None if size is None else PixelSize(size, size)
    return None


def _of_ome(text: str) -> PixelSize | None:
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, DefusedXmlException, ValueError):
        return None
    pixels = next((one.attrib for one in root.iter() if one.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None:
        return None
    across, down, between = (
        _length(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", _MICROMETRE)) for axis in "XYZ"
    )
    return None if across is None or down is None else PixelSize(down, across, between)


def _of_imagej(file: tifffile.TiffFile) -> PixelSize | None:
    facts: Mapping[str, object] = file.imagej_metadata or {}
    unit, tags = facts.get("unit"), file.pages.first.tags
    if not isinstance(unit, str) or "XResolution" not in tags or "YResolution" not in tags:
        return None
    unit = unit.replace("\\u00B5", "µ")  # as ImageJ writes the sign
    across, down = (
        _length(parts / pixels if pixels else None, unit)
        for pixels, parts in (tags[name].value for name in ("XResolution", "YResolution"))
    )
    between = _length(facts.get("spacing"), unit)
    return None if across is None or down is None else PixelSize(down, across, between)


def _length(value: object, unit: str) -> float | None:
    """Return a length in mm; ``None`` if it is none above zero, or its unit is no length."""
    in_mm = _MM_OF.get(_OTHER_NAMES.get(unit.strip(), unit.strip()))
    try:
        length = float(value) * in_mm if isinstance(value, str | int | float) and in_mm is not None else 0.0
    except ValueError:
        return None
    return length if length > 0 and math.isfinite(length) else None
