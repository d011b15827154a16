"""Patients, studies and series that DICOM files name."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from promise_seg.curation.inspection.inspecting import inspect
from promise_seg.dataset import owners
from promise_seg.dataset.manifest import Row
from promise_seg.dataset.owners import divided_owners, grouped, grouped_by_owner, owners_note, owners_of
from promise_seg.images.formats.identifiers import identifiers_of
from promise_seg.storage.remote_paths import as_path
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
    found = owners_of([tmp_path / "ct", tmp_path / "a.png", tmp_path / "missing.dcm"])
    assert [owner and owner.name for owner in found] == ["A", None, None]


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
    of_owner, own = grouped_by_owner([first, second])
    assert (of_owner.group.split()[0], of_owner.is_of_owner) == ("patient", True)
    assert own == second


def test_names_of_groups_do_not_contain_the_identifier_and_are_the_same_in_every_manifest(tmp_path):
    here, there = (rows(write(tmp_path / name, ("DOE-1", "1", "1.1")), Split.TEST) for name in ("here", "there"))
    (one,), (other,) = grouped(here), grouped(there)
    assert one.group == other.group
    assert "DOE" not in one.group


def test_rows_join_the_group_that_has_the_name_of_their_patient(tmp_path):
    first, second = rows(write(tmp_path, ("A", "1", "1.1"), ("A", "2", "2.1")), Split.TRAIN, Split.TRAIN)
    assert {row.group for row in grouped([first, replace(second, group="A")])} == {"A"}


def test_a_file_with_a_group_in_another_row_is_in_that_group(tmp_path):
    """Otherwise the slices of one file would be divided between the group of the manifest and the patient."""
    (path,) = write(tmp_path, ("A", "1", "1.1"))
    first, second = rows([path, path], Split.TRAIN, Split.TRAIN)
    assert {row.group for row in grouped([first, replace(second, group="mine")])} == {"mine"}


def test_a_header_is_read_once_for_all_rows_of_its_file(tmp_path, monkeypatch):
    paths = write(tmp_path, ("A", "1", "1.1"), ("B", "2", "2.1"))
    write_series(tmp_path / "ct", count=2, PatientID="A")
    several = rows([*paths, tmp_path / "ct", *paths, tmp_path / "ct"], *[Split.TRAIN] * 6)
    read = []
    monkeypatch.setattr(owners, "identifiers_of", lambda path: read.append(path) or identifiers_of(path))
    found = grouped(several)
    assert sorted(read) == sorted({row.image for row in several})
    assert len({row.group for row in found}) == 2
    assert found[0].group == found[2].group  # the series is of the first patient


def test_of_images_at_addresses_only_needed_dicom_files_are_read(monkeypatch):
    names = ("a.dcm", "b.png", "c.dcm")
    several = rows([as_path(f"s3://bucket/{name}") for name in names], Split.TRAIN, Split.TRAIN, Split.TEST)
    read = []
    monkeypatch.setattr(owners, "identifiers_of", lambda path: read.append(path.name))
    assert grouped(several, {Split.TRAIN}) == several
    assert read == ["a.dcm"]
    assert owners_note(several) is None


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
