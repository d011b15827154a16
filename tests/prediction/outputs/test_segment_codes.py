import pytest
from pydicom.sr.codedict import codes

from promise_seg.prediction.outputs.segment_codes import _CATEGORIES, LESION, category_and_type


@pytest.mark.parametrize(
    ("name", "value", "category"),
    [
        ("liver", "10200004", "Anatomical structure"),
        ("Left_Ventricle", "87878005", "Anatomical structure"),
        ("Lymph-Node", "59441001", "Anatomical structure"),
        ("bone", "272673000", "Anatomical structure"),
        ("nucleus", "84640000", "Anatomical structure"),
        ("neoplasm", "108369006", "Morphologically abnormal structure"),
        ("tumor", "108369006", "Morphologically abnormal structure"),
        ("skin", "39937001", "Tissue"),
        ("stent", "65818007", "Physical object"),
    ],
)
def test_names_that_are_keywords(name, value, category):
    found, code = category_and_type(name)
    assert (code.value, code.scheme_designator, found.meaning) == (value, "SCT", category)


@pytest.mark.parametrize("name", ["segmentation", "polyp", "肝", "", "left", "goat", "dir", "concepts"])
def test_all_others_are_lesions(name):
    """Those too that SNOMED CT has a word for which is nothing to segment."""
    category, code = category_and_type(name)
    assert (code, category.meaning) == (LESION, "Morphologically abnormal structure")


def test_categories_are_those_of_the_standard():
    known = {code.value: code.meaning.lower() for code in codes.CID7150.concepts.values()}
    assert all(known[category.value] == category.meaning.lower() for _, category in _CATEGORIES)
    assert codes.SCT.Lesion == LESION
