import pytest

from promise_seg.errors import SettingsError
from promise_seg.images.masks import MaskRule
from promise_seg.images.reading import Reading, make_reading, parse_classes
from promise_seg.vocabulary import MaskKind


def test_what_is_not_given_is_as_in_the_base():
    base = make_reading(window="lung", axis="coronal", crop_border=True, label="3")
    assert make_reading(base) == base
    assert str(make_reading(base, window="own").window) == "own"
    assert not make_reading(base, crop_border=False).crop_border
    assert make_reading(base, instances=True).mask_rule == MaskRule(MaskKind.INSTANCES)


def test_classes():
    assert make_reading(label="2").mask_rule == MaskRule(MaskKind.CLASSES, 2)
    assert make_reading(label="1,2").mask_rule == MaskRule(MaskKind.CLASSES)
    assert parse_classes("5, 1,2") == [1, 2, 5]
    assert parse_classes("all") is None
    assert make_reading(label="all").mask_rule == MaskRule(MaskKind.CLASSES)
    assert Reading().of_class(4).mask_rule == MaskRule(MaskKind.CLASSES, 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"axis": "oblique"}, "--axis oblique: expected auto, axial, coronal, sagittal"), ({"label": "0"}, "--class 0"),
     ({"label": "liver"}, "--class liver: expected whole numbers from 1"),
     ({"label": "1", "instances": True}, "--class and --instances: each says what"),
     ({"mask_threshold": 1, "instances": True}, "--instances and --mask-threshold")],
)  # fmt: skip
def test_what_cannot_be_meant(given, words):
    with pytest.raises(SettingsError, match=words):
        make_reading(**given)
