"""The codes for what a segment shows, of SNOMED CT, that other programs understand. From ``pydicom``'s dictionary."""

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
"""Context groups of what can be segmented, and the category of all their members; the first that has a code counts.

Source: DICOM PS3.16, CID 7150 and 7151.
"""


def category_and_type(name: str) -> tuple[Code, Code]:
    """Return category and type of a segment by its name, or of a lesion if the name is not in the dictionary.

    Case, spaces, hyphens and underscores do not matter. The dictionary has sides, views and breeds of cattle too: only
    what DICOM lists as something to segment is taken.
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
    """Return the members by value, because some codes have several keywords."""
    found = (getattr(codes.SCT, keyword, None) for keyword in getattr(codes, group).dir())
    return frozenset(code.value for code in found if code is not None)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " _-")
