"""Images of one patient are one group, in the manifest and in training, unless the user names groups."""

import csv

import numpy as np
import pytest

from promise_seg.annotator import owner_groups
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.roles import Role, Roles
from promise_seg.dataset.manifest import read_manifest
from promise_seg.dataset.owners import grouped
from promise_seg.images.formats.identifiers import identifiers_of
from promise_seg.vocabulary import Split
from tests.annotator.helpers import API, client_of
from tests.annotator.learning import Pretended, accept
from tests.files import write_dicom

PATIENTS = ("AB-7", "AB-7", "CD-8", "EF-9", "AB-7")


@pytest.fixture
def scans(tmp_path):
    """A folder of DICOM files, each of a study of its own."""
    for number, patient in enumerate(PATIENTS):
        uids = {"StudyInstanceUID": f"1.{number}", "SeriesInstanceUID": f"1.{number}.1"}
        write_dicom(tmp_path / f"data/{number}.dcm", np.full((30, 40), number, np.uint16), PatientID=patient, **uids)
    return tmp_path / "data"


@pytest.fixture
def start(model, folder):
    def start(place):
        return Project(model, [place], folder, Options(learning=Pretended(model)))

    return start


def groups_in(folder):
    with (folder / "manifest.csv").open(newline="") as file:
        return {row["image_name"].rsplit("/", 1)[-1]: row["group"] for row in csv.DictReader(file)}


def roles_in(folder):
    """The images of the first round by the name of their file, with the table and split they are in."""
    names = ("train", "held-out")
    rows = [(name, row) for name in names for row in read_manifest(folder / f"learning/001/{name}.csv")]
    return {row.image.name: (name, str(row.split)) for name, row in rows}


def test_the_manifest_names_the_patient_as_other_commands_do_and_no_identifier(start, scans, folder):
    with start(scans) as project:
        accept(client_of(project), 1, 2, 3)
    found = groups_in(folder)
    assert found["0.dcm"] == found["1.dcm"] != found["2.dcm"]
    assert all(group.startswith("patient ") for group in found.values())
    assert "AB-7" not in (folder / "manifest.csv").read_text()
    names = [f"{number}.dcm,train,{number}.dcm" for number in range(5)]
    (scans / "own.csv").write_text("\n".join(["image_name,train_type,mask_name", *names]))
    assert found.items() <= {row.image.name: row.group for row in grouped(read_manifest(scans / "own.csv"))}.items()


def test_all_images_of_the_project_tell_whether_one_name_stands_for_all_patients(start, scans, folder):
    with start(scans) as project:
        accept(client_of(project), 1, 2, 5)
    assert len(set(groups_in(folder).values())) == 1
    for number in (2, 3):
        (scans / f"{number}.dcm").unlink()
    with start(scans):
        assert all(group.startswith("study ") for group in groups_in(folder).values())


def test_groups_of_the_user_stay(start, scans, folder):
    rows = ["0.dcm,train,0.dcm,video", "1.dcm,train,1.dcm,", "4.dcm,train,4.dcm,"]
    (scans / "own.csv").write_text("\n".join(["image_name,train_type,mask_name,group", *rows]))
    with start(scans / "own.csv") as project:
        accept(client_of(project), 1, 2, 3)
    found = groups_in(folder)
    assert found["0.dcm"] == "video"
    assert found["1.dcm"] == found["4.dcm"] != "video"


def test_pictures_stay_groups_of_their_own(start, five_pictures, folder):
    with start(five_pictures) as project:
        accept(client_of(project), 1, 2)
    assert sorted(groups_in(folder).values()) == ["../data/images/0.png", "../data/images/1.png"]


def test_each_header_is_read_once(start, scans, monkeypatch):
    read = []
    monkeypatch.setattr(owner_groups, "identifiers_of", lambda path: read.append(path) or identifiers_of(path))
    with start(scans) as project:
        accept(client_of(project), 1, 2, 3)
    assert sorted(path.name for path in read) == [f"{number}.dcm" for number in range(5)]


def test_the_images_of_a_patient_have_one_role(start, scans, folder):
    with start(scans) as project:
        client = client_of(project)
        accept(client, 1, 3, 4, 2, 5)
        assert client.post(f"{API}/training", json={}).status_code == 200
    found = roles_in(folder)
    assert found["0.dcm"] == found["1.dcm"] == found["4.dcm"] == ("train", "train")
    assert {found["2.dcm"], found["3.dcm"]} == {("held-out", "val"), ("train", "val")}


def test_roles_that_files_had_before_are_those_of_their_patients(start, scans, folder):
    """Earlier versions gave a role to each file."""
    with start(scans) as project:
        files = [f"../data/{number}.dcm" for number in range(5)]
        before = Roles(project._database).of((file, Split.TRAIN, False) for file in files)
        assert list(before.values()) == [Role.TRAIN, Role.HELD_OUT, Role.VAL, Role.TRAIN, Role.TRAIN]
        client = client_of(project)
        accept(client, 1, 2, 3)
        assert client.post(f"{API}/training", json={}).status_code == 409  # nothing is held out any longer
        accept(client, 4)
        known = Roles(project._database).of([])
        groups = groups_in(folder)
        assert known == {
            groups["0.dcm"]: Role.TRAIN, groups["2.dcm"]: Role.VAL, files[3]: Role.TRAIN, files[4]: Role.TRAIN
        }  # fmt: skip


def test_one_group_in_place_of_several_is_used_for_training_if_any_of_them_was(project):
    roles = Roles(project._database)
    roles.of((name, "train", False) for name in "abcde")
    roles.rename({"b": "p", "c": "p", "x": "p", "d": "q", "e": "e"})
    assert roles.of([]) == {"a": Role.TRAIN, "p": Role.VAL, "q": Role.TRAIN, "e": Role.TRAIN}
    roles.rename({"a": "p"})
    assert roles.of([("new", "train", False)]) == {
        "p": Role.TRAIN, "q": Role.TRAIN, "e": Role.TRAIN, "new": Role.HELD_OUT
    }  # fmt: skip
