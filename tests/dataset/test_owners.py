"""Patients, studies and series that DICOM files name."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from promise_seg.curation.inspection.inspecting import inspect
from promise_seg.dataset.manifest import Row
from promise_seg.dataset.owners import divided_owners, grouped_by_owner, owners_of
from promise_seg.vocabulary import Split
from tests.files import write_dicom, write_series

PIXELS = np.arange(30, dtype=np.uint16).reshape(5, 6)


def write(folder, *identifiers):
    """A file for each (patient, study, series)."""
    paths = []
    for number, (patient, study, series) in enumerate(identifiers):
        uids = {"PatientID": patient, "StudyInstanceUID": study, "SeriesInstanceUID": series}
        paths.append(write_dicom(folder / f"{number}.dcm", PIXELS + number, **uids))
    return paths


def named(paths):
    return [(owner.kind, owner.name) for owner in owners_of(paths)]


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        (
            [("A", "1", "1.1"), ("B", "2", "2.1"), ("A", "3", "3.1")],
            [("patient", "A"), ("patient", "B"), ("patient", "A")],
        ),
        ([("", "1", "1.1"), ("", "2", "2.1")], [("study", "1"), ("study", "2")]),
        ([("anonymous", "1", "1.1"), ("ANON^7", "1", "1.2")], [("series", "1.1"), ("series", "1.2")]),
        (
            [("A", "1", "1.1"), ("", "1", "1.2"), ("B", "2", "2.1")],
            [("patient", "A"), ("patient", "A"), ("patient", "B")],
        ),
        ([("T", str(i), f"{i}.1") for i in (1, 2, 3)], [("study", "1"), ("study", "2"), ("study", "3")]),
    ],
)  # fmt: skip
def test_the_patient_or_else_the_study_or_the_series(tmp_path, identifiers, expected):
    assert named(write(tmp_path, *identifiers)) == expected


def test_a_folder_is_a_series_and_pictures_name_nobody(tmp_path):
    write_series(tmp_path / "ct", count=2, PatientID="A")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    owners = owners_of([tmp_path / "ct", tmp_path / "a.png", tmp_path / "missing.dcm"])
    assert [owner and owner.name for owner in owners] == ["A", None, None]


def rows(paths, *splits):
    return [
        Row(f"m.csv:{number}", path, path, split, str(path))
        for number, (path, split) in enumerate(zip(paths, splits, strict=True), 2)
    ]


def test_divided_owners_whatever_the_group_says(tmp_path):
    paths = write(tmp_path, ("A", "1", "1.1"), ("A", "2", "2.1"), ("B", "3", "3.1"))
    ((owner, members),) = divided_owners(rows(paths, Split.TRAIN, Split.TEST, Split.TRAIN))
    assert (owner.kind, owner.name, len(members)) == ("patient", "A", 2)
    assert divided_owners(rows(paths, Split.TRAIN, Split.TRAIN, Split.TEST)) == []


def test_one_series_in_two_splits_is_divided(tmp_path):
    paths = write(tmp_path, ("", "1", "1.1"), ("", "1", "1.1"))
    ((owner, _),) = divided_owners(rows(paths, Split.VAL, Split.TEST))
    assert (owner.kind, owner.name) == ("series", "1.1")


def test_rows_without_a_group_are_grouped_and_others_are_left(tmp_path):
    first, second = rows(write(tmp_path, ("A", "1", "1.1"), ("B", "2", "2.1")), Split.TRAIN, Split.TRAIN)
    second = replace(second, group="mine")
    assert [row.group for row in grouped_by_owner([first, second])] == ["A", "mine"]


def test_the_check_finds_a_divided_patient(tmp_path):
    paths = write(tmp_path, ("A", "1", "1.1"), ("A", "1", "1.2"))
    mask = np.zeros((5, 6), np.uint8)
    mask[1:3, 1:3] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    lines = [f"{path.name},{split},m.png,{split}" for path, split in zip(paths, ("train", "test"), strict=True)]
    (tmp_path / "m.csv").write_text("image_name,train_type,mask_name,group\n" + "\n".join(lines) + "\n")
    found = [f for f in inspect(tmp_path / "m.csv").findings if f.kind == "divided group"]
    assert len(found) == 1
    assert "the patient 'A' has 2 rows, in test and train" in found[0].message
