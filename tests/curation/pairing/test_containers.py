"""Folders around data sets, and what is a case rather than a set. Files are empty: names decide."""

import pytest

from promise_seg.curation.pairing.folders import pair_folder
from promise_seg.curation.pairing.groups import are_cases, no_groups_note, with_groups


@pytest.fixture
def lay(tmp_path):
    def files(*names):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "data"

    return files


def both(*folders, stems="12"):
    return [f"{folder}/{kind}/{stem}.png" for folder in folders for kind in ("images", "masks") for stem in stems]


@pytest.mark.parametrize("place", ["Kvasir-SEG", "download/Kvasir-SEG", "a/b/c"])
def test_a_set_in_a_folder_of_its_own_is_no_group(lay, place):
    found = pair_folder(lay(*both(place)))
    assert {(pair.group, pair.split, pair.dataset) for pair in found.pairs} == {("", None, "")}
    assert len(found.pairs) == 2


def test_several_sets_are_named_and_no_groups(lay):
    folder = lay(
        *both("Kvasir-SEG", "CVC-300"),
        "Task01/imagesTr/a.nii.gz",
        "Task01/labelsTr/a.nii.gz",
        "flat/a.png",
        "flat/a_mask.png",
    )
    found = pair_folder(folder)
    assert {pair.dataset for pair in found.pairs} == {"Kvasir-SEG", "CVC-300", "Task01", "flat"}
    assert {pair.group for pair in with_groups(found.pairs, folder).pairs} == {""}
    assert found.remarks() == []


def test_a_patient_of_two_sets_is_two(lay):
    found = pair_folder(lay(*both("x/A/deep/p1", "x/A/deep/p2", "x/B/deep/p1", "x/B/deep/p2")))
    assert {pair.group for pair in found.pairs} == {"A/p1", "A/p2", "B/p1", "B/p2"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["p1", "p2"], True), (["TCGA_CS_4941_19960909", "TCGA_DU_5849_19950405"], True), (["sub-01"], True),
        (["0a1b2c3d", "deadbeef"], True), (["Kvasir-SEG", "ETIS", "CVC-300"], False), (["benign", "malignant"], False),
        (["site1", "site2"], False), (["set_a", "set_b"], False), (["Kvasir-SEG"], False),
        ([f"{word}x" for word in ("anna", "bert", "carl", "dora", "emil", "fred", "gina", "hugo", "ida", "jan")], True),
    ],
)  # fmt: skip
def test_cases_are_numbered_or_many_and_sets_have_names(names, expected):
    assert are_cases(names) == expected


@pytest.mark.parametrize("form", ["{p}/{i}.tif {p}/{i}_mask.tif", "images/{p}/{i}.png masks/{p}/{i}.png",
                                  "x/{p}/visit/{i}.png x/{p}/visit/{i}_mask.png"])  # fmt: skip
def test_folders_of_patients_are_groups(lay, form):
    names = [name for p in ("p1", "p2") for i in "12" for name in form.format(p=p, i=i).split()]
    folder = lay(*names)
    grouping = with_groups(pair_folder(folder).pairs, folder)
    assert [pair.group for pair in grouping.pairs] == ["p1", "p1", "p2", "p2"]
    assert grouping.by == "by folder"


def test_folders_of_classes_are_no_groups_and_the_note_suggests_a_pattern(lay):
    folder = lay(
        *(
            f"{kind}/{p}_{i}{end}.png"
            for kind, p in (("benign", "ann"), ("malignant", "bob"))
            for i in "12"
            for end in ("", "_mask")
        )
    )
    pairs = with_groups(pair_folder(folder).pairs, folder).pairs
    assert {pair.group for pair in pairs} == {""}
    assert r"'^(.+)[_-]\d+$', which would make 2 groups, such as ann" in no_groups_note(pairs)
