from pathlib import Path

import pytest

from promise_seg.curation.pairing.groups import group_pattern, groups_of
from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.errors import ManifestError, SettingsError


def pairs(*names):
    return [ImagePair(Path("data") / name, Path("m"), Path(name).stem, None, "") for name in names]


def find(expression, *names):
    return groups_of(pairs(*names), group_pattern(expression), Path("data"))


def test_groups_come_from_stems_or_else_all_from_paths():
    assert find(r"^(p\d+)_", "images/p1_a.png", "images/p2_a.png") == ["p1", "p2"]
    assert find(r"images/(\w+)/", "images/p1/a.png", "images/p2/a.png") == ["p1", "p2"]
    assert find(r"(p\d)", "images/p1/a.png", "images/p2/p9.png") == ["p1", "p2"]


def test_images_without_a_group_are_counted_with_an_example():
    with pytest.raises(ManifestError, match=r"does not match the names of 2 of 3 images, for example images/b\.png"):
        find(r"^(p\d+)_", "images/p1_a.png", "images/b.png", "images/c.png")
    with pytest.raises(ManifestError, match="1 of 1"):
        find("^(x*)", "a.png")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("p(", "not a regular expression"),
        ("p", "has 0 groups"),
        ("(a)(b)", "has 2 groups in parentheses, expected one"),
        ("(a{99999999999999})", "not a regular expression"),
        ("(" * 2000 + ")" * 2000, "not a regular expression"),
    ],
)
def test_expressions_that_cannot_work(expression, message):
    with pytest.raises(SettingsError, match=message):
        group_pattern(expression)
