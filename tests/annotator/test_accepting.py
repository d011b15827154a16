"""The manifest and the masks of accepted images agree, whoever accepts what, when, and with which images given."""

import csv
import json
import threading
from unittest.mock import Mock

import numpy as np
import pytest
import tifffile

from promise_seg.annotator import results
from promise_seg.annotator.history import History
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.results import Results
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import PromiseError
from promise_seg.vocabulary import OutputFormat
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
        assert [line for line in said if "both: holds 2 series" in line and "its own folder" in line]
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


def written(folder):
    """The masks and prompts in a project's folder, relative to it."""
    found = (path for name in ("masks", "prompts") for path in (folder / name).rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


@pytest.mark.parametrize("action", [{"type": "reopen"}, {"type": "skip"}, {"type": "properties", "hidden": True}])
def test_masks_of_an_image_that_is_no_longer_accepted_are_removed(client, folder, action):
    tab = accept(client, 1)
    accept(client, 2)
    (folder / "masks/mine.png").write_bytes(b"mine")
    assert "masks/0.png" in written(folder)
    fields = {"object": 1} if action["type"] == "properties" else {}
    tab.act(action["type"], **fields, **{name: value for name, value in action.items() if name != "type"})
    assert written(folder) == ["masks/1.png", "masks/mine.png", "prompts/1.json"]
    tab.act("accept")
    assert written(folder) == ["masks/0.png", "masks/1.png", "masks/mine.png", "prompts/0.json", "prompts/1.json"]
    assert Dataset.from_csv(folder / "manifest.csv").rows[0].foreground_pixels == 200


def test_what_a_crash_left_of_images_that_are_not_accepted_is_removed_at_the_next_start(model, images, folder):
    with Project(model, [images], folder) as project:
        client = client_of(project)
        for image in (1, 2, 3):
            accept(client, image)
        with project._database.writing() as connection:  # reopened, and ended before the files were removed
            connection.execute("UPDATE images SET state = 'open' WHERE id IN (1, 2)")
            connection.execute("UPDATE images SET listed = NULL WHERE id = 2")  # ended while the files were written
    with Project(model, [images], folder) as project:
        assert written(folder) == ["masks/2.png", "prompts/2.json"]
        assert listed(folder) == ["masks/2.png"]
        assert project.catalogue.row(1)["mask"] is None


@pytest.mark.parametrize("place", [(History, "commit"), (results, "write_json")])
def test_masks_of_an_acceptance_that_fails_are_removed(tab, folder, monkeypatch, place):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))

    def full(*arguments):
        raise Refusal(507, "not-stored", "The disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(*place, full)
        assert refusal(tab.send({"type": "accept"})) == (507, "not-stored")
    assert written(folder) == []


def test_a_file_that_the_project_did_not_write_is_kept_if_an_acceptance_fails(tab, folder, monkeypatch):
    (folder / "masks").mkdir()
    (folder / "masks/0.png").write_bytes(b"mine")

    def full(*arguments):
        raise PromiseError("No space left on device")

    monkeypatch.setattr(results, "writer_of", lambda output: Mock(suffix=".png", write=full))
    assert refusal(tab.send({"type": "accept"})) == (507, "not-stored")
    assert (folder / "masks/0.png").read_bytes() == b"mine"


def test_masks_that_cannot_be_removed_are_named_and_removed_at_the_next_start(model, images, folder, monkeypatch):
    def busy(self, mask):
        raise PermissionError(13, "Permission denied")

    with Project(model, [images], folder) as project:
        tab = accept(client_of(project), 1)
        with monkeypatch.context() as patch:
            patch.setattr(Results, "remove_mask", busy)
            answer = tab.act("reopen")
        assert answer["state"] == "open"
        assert f"{folder / 'masks/0.png'}: 0.png is not accepted any longer" in answer["note"]
        assert "Permission denied. Delete them, or start the annotator again" in answer["note"]
        assert listed(folder) == []
    with Project(model, [images], folder):
        assert written(folder) == []


def test_of_a_folder_of_slices_only_the_slices_are_removed(model, folder, tmp_path):
    """Earlier versions wrote such folders."""
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 30, 40), np.uint8), photometric="minisblack")
    with Project(model, [tmp_path / "stack.tif"], folder) as project:
        tab = accept(client_of(project), 1)
        for more in (["mine.txt"], []):
            (folder / "masks/stack").mkdir(exist_ok=True)
            for name in ["000.png", "001.png", "002.png", *more]:
                (folder / "masks/stack" / name).write_bytes(b"")
            with project._database.writing() as connection:
                connection.execute("UPDATE images SET mask = 'masks/stack'")
            tab.act("reopen")
            assert written(folder) == ["masks/stack.tif", *(f"masks/stack/{name}" for name in more)]
            (folder / "masks/stack/mine.txt").unlink(missing_ok=True)
            tab.act("accept")
        assert not (folder / "masks/stack").exists()


def test_masks_that_two_images_of_an_earlier_version_share_are_kept(model, images, folder):
    with Project(model, [images], folder) as project:
        client = client_of(project)
        accept(client, 1)
        tab = accept(client, 2)
        with project._database.writing() as connection:
            connection.execute("UPDATE images SET mask = 'masks/0.png' WHERE id = 2")
        tab.act("reopen")
        assert "masks/0.png" in written(folder)


def test_masks_of_another_format_are_replaced(model, images, folder):
    with Project(model, [images], folder) as project:
        accept(client_of(project), 1)
    with Project(model, [images], folder, Options(output_format=OutputFormat.TIFF)) as project:
        tab = Tab(client_of(project), 1, seed=9)
        tab.open()
        tab.act("accept")
    assert written(folder) == ["masks/0.tif", "prompts/0.json"]
    assert listed(folder) == ["masks/0.tif"]


@pytest.mark.parametrize(("action", "state"), [("accept", "done"), ("skip", "skipped")])
def test_undo_of_the_change_that_opened_a_finished_image_finishes_it_again(client, folder, action, state):
    tab = accept(client, 1)
    before = (folder / "masks/0.png").read_bytes()
    tab.act(action)
    answer = tab.act("stroke", object=1, mode="add", mask=bits_of(slice(20, 25), slice(0, 5)))
    assert answer["state"] == "open"
    assert listed(folder) == []
    assert tab.act("undo")["state"] == state
    assert tab.http.get(tab.place).json()["state"] == state
    assert listed(folder) == (["masks/0.png"] if state == "done" else [])
    if state == "done":
        assert (folder / "masks/0.png").read_bytes() == before
    assert tab.act("redo")["state"] == "open"
    tab.act("remove", object=1)
    assert tab.act("undo")["state"] == "open"  # the stroke is still there
    assert tab.act("undo")["state"] == state
    assert tab.act("undo")["state"] == "open"  # the change before the acceptance
    assert written(folder) == []
    assert tab.act("redo")["state"] == state


@pytest.mark.parametrize("go", ["undo", "redo"])
def test_an_image_whose_masks_cannot_be_written_any_more_is_open_after_undo(client, project, folder, go):
    """Undo was once refused, so the changes before it could not be reached any more."""
    tab = accept(client, 1)
    tab.act("accept")
    if go == "redo":
        tab.act("undo")
    else:
        tab.act("properties", object=1, hidden=True)
    project.acceptances.results.output = OutputFormat.NIFTI  # as after a start with another --format
    answer = tab.act(go)
    assert answer["state"] == tab.http.get(tab.place).json()["state"] == "open"
    assert answer["note"].startswith("The image was accepted here before, but is open now: ")
    assert "cannot be trained on in the format nifti. Choose another --format" in answer["note"]
    assert tab.on_server() == tab.objects
    assert not tab.objects[1]["hidden"]
    assert (written(folder), listed(folder)) == ([], [])
    assert refusal(tab.send({"type": "accept"})) == (422, "invalid")
    tab.act("undo")
    assert tab.on_server() == {}
    project.acceptances.results.output = OutputFormat.AUTO
    assert tab.act("redo")["state"] == "done"
    assert listed(folder) == ["masks/0.png"]


def test_undo_is_refused_if_the_disk_is_full(tab, monkeypatch):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))
    tab.act("accept")
    tab.act("properties", object=1, hidden=True)

    def full(*arguments):
        raise PromiseError("No space left on device")

    monkeypatch.setattr(results, "writer_of", lambda output: Mock(suffix=".png", write=full))
    assert refusal(tab.send({"type": "undo"})) == (507, "not-stored")
    assert tab.on_server() == tab.objects


def test_undo_does_not_accept_an_image_that_was_reopened_on_purpose(client):
    tab = accept(client, 1)
    tab.act("reopen")
    tab.act("properties", object=1, hidden=True)
    assert tab.act("undo")["state"] == "open"


def test_undo_accepts_a_volume_with_the_slices_that_were_accepted(model, volume, folder):
    with Project(model, [volume], folder) as project:
        tab = accept(client_of(project), 1)
        tab.act("add", slice=3, **{"class": 1}, mask=bits_of(*RECTANGLE))
        assert tab.act("undo")["state"] == "done"
        assert [row.index for row in Dataset.from_csv(folder / "manifest.csv").rows] == [0]
        assert len(json.loads((folder / "prompts/scan.json").read_text())["objects"]) == 1
        tab.act("add", slice=3, **{"class": 1}, mask=bits_of(*RECTANGLE))
        tab.act("propose", slice=3)  # another slice was viewed meanwhile
        assert tab.act("undo")["state"] == "open"
