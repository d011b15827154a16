"""SNOMED CT codes for the content of a segment, from the dictionary of ``pydicom``."""

from functools import cache

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

LESION = Code("52988006", "SCT", "Lesion")
ABNORMAL = Code("49755003", "SCT", "Morphologically abnormal structure")
ANATOMICAL = Code("91723000", "SCT", "Anatomical structure")
_CATEGORIES = (
    ("CID7194", ABNORMAL),
    ("CID7192", ANATOMICAL),
    ("CID7191", Code("85756007", "SCT", "Tissue")),
    ("CID7193", Code("260787004", "SCT", "Physical object")),
    ("CID8134", ANATOMICAL),
    ("CID8135", ANATOMICAL),  # cells and nuclei
)
"""Context groups of structures that can be segmented, with the category of all their members; the first match counts.

Source: DICOM PS3.16, CID 7150 and 7151.
"""


def category_and_type(name: str) -> tuple[Code, Code]:
    """Return the category and type of a segment by its name; those of a lesion for unknown names.

    Case, spaces, hyphens and underscores are ignored. Only codes that DICOM lists for segmentation are considered, as
    the dictionary also has codes for sides, views and even breeds of cattle.
    """
    keyword = _keywords().get(_plain(name))
    if keyword is not None:
        code = getattr(codes.SCT, keyword)
        for group, category in _CATEGORIES:
            if code.value in _members(group):
                return category, code
    return ABNORMAL, LESION


@cache
def _keywords() -> dict[str, str]:
    return {_plain(keyword): keyword for keyword in codes.SCT.dir()}


@cache
def _members(group: str) -> frozenset[str]:
    """Return the code values of a context group's members; values, because some codes have several keywords."""
    found = (getattr(codes.SCT, keyword, None) for keyword in getattr(codes, group).dir())
    return frozenset(code.value for code in found if code is not None)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " _-")
