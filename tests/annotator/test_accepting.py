"""The manifest and the masks of accepted images agree, whoever accepts what, when, and with which images given."""

import csv
import threading

import numpy as np
import pytest

from promise_seg.annotator.history import History
from promise_seg.annotator.project import Project
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.results import Results
from promise_seg.dataset.dataset import Dataset
from tests.annotator.helpers import Tab, bits_of, client_of, refusal
from tests.files import write_series

RECTANGLE = (slice(5, 15), slice(10, 30))


def listed(folder):
    """The names of the masks in the manifest."""
    with (folder / "manifest.csv").open(newline="") as file:
        return [row["mask_name"] for row in csv.DictReader(file)]


def accept(client, image):
    tab = Tab(client, image, seed=image)
    tab.open()
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))
    tab.act("accept")
    return tab


@pytest.mark.parametrize("state", ["accept", "skip"])
def test_a_finished_image_gets_no_proposals(tab, state):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))
    before = tab.act(state)
    after = tab.act("propose", slice=0)
    assert after["changed"] == after["proposed"] == []
    assert after["state"] == before["state"]
    assert list(tab.on_server()) == [1]
    assert tab.http.get(tab.place).json()["edits"] == 2  # showing a slice is none
    tab.act("reopen")
    assert tab.act("propose", slice=0)["proposed"] == [0]


def test_a_slice_that_is_shown_later_is_not_listed_with_an_empty_mask(model, volume, folder):
    with Project(model, [volume], folder) as project:
        tab = Tab(client_of(project), 1)
        tab.open()
        for index in (1, 2):
            tab.act("add", slice=index, **{"class": 1}, mask=bits_of(*RECTANGLE))
        tab.act("accept")
        tab.act("propose", slice=4)
        project.acceptances.write_manifest()
        assert [row.index for row in Dataset.from_csv(folder / "manifest.csv").rows] == [1, 2]
    with Project(model, [volume], folder):
        assert [row.index for row in Dataset.from_csv(folder / "manifest.csv").rows] == [1, 2]


def test_two_images_that_are_accepted_at_once_are_both_listed(client, folder, monkeypatch):
    """The second is accepted while the manifest of the first is about to be written."""
    write, commit = Results.write_manifest, History.commit
    committed = threading.Event()
    second = threading.Thread(target=accept, args=(client, 2), daemon=True)

    def committing(self, number, revision, request, change):
        outcome = commit(self, number, revision, request, change)
        if number == 2 and change.state == "done":
            committed.set()
        return outcome

    def writing(self, images):
        if not second.ident:
            second.start()
            assert committed.wait(60)
        write(self, images)

    monkeypatch.setattr(History, "commit", committing)
    monkeypatch.setattr(Results, "write_manifest", writing)
    accept(client, 1)
    second.join(60)
    assert not second.is_alive()
    assert listed(folder) == ["masks/0.png", "masks/1.png"]


def test_an_image_whose_acceptance_was_not_stored_is_not_listed(tab, folder, monkeypatch):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))

    def full(*arguments):
        raise Refusal(507, "not-stored", "The disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(History, "commit", full)
        assert refusal(tab.send({"type": "accept"})) == (507, "not-stored")
    assert not (folder / "manifest.csv").exists()
    accept(tab.http, 2)
    assert listed(folder) == ["masks/1.png"]
    tab.act("accept")
    assert listed(folder) == ["masks/0.png", "masks/1.png"]


def test_accepted_images_that_are_not_given_again_stay_in_the_manifest(model, images, folder):
    place = images.parent / "images"
    with Project(model, [place / "0.png", place / "1.png"], folder) as project:
        client = client_of(project)
        accept(client, 1)
        accept(client, 2)
    with Project(model, [place / "2.png"], folder) as project:
        assert listed(folder) == ["masks/0.png", "masks/1.png"]
        client = client_of(project)
        accept(client, 3)
        assert listed(folder) == ["masks/0.png", "masks/1.png", "masks/2.png"]
        assert project.export_coco()["images"] == 3
    (place / "0.png").unlink()
    with Project(model, [place / "2.png"], folder):
        assert listed(folder) == ["masks/1.png", "masks/2.png"]  # what is gone cannot be learned from


@pytest.mark.slow
def test_series_that_share_a_folder_are_left_out_of_the_manifest_which_is_said(model, tmp_path, folder):
    for prefix in ("a", "b"):
        write_series(tmp_path / "both", count=2, prefix=prefix)
    write_series(tmp_path / "alone", count=2)
    said = []
    with Project(model, [tmp_path / "both", tmp_path / "alone"], folder, note=said.append) as project:
        assert [line for line in said if "both: holds 2 series" in line and "a folder of its own" in line]
        client, mask = client_of(project), bits_of(slice(2, 8), slice(3, 7), height=12, width=10)
        for number in project.catalogue.numbers:
            tab = Tab(client, number, seed=number)
            tab.open()
            for index in range(2):
                tab.act("add", slice=index, **{"class": 1}, mask=mask)
            tab.act("accept")
    assert len(list((folder / "masks").iterdir())) == 3
    data = Dataset.from_csv(folder / "manifest.csv")
    assert [np.count_nonzero(row.mask()) for row in data.rows] == [24, 24]
