"""What the disk does not take is said at once, changes nothing, and is done when there is space again."""

import sqlite3
from contextlib import closing

import pytest

from promise_seg.annotator import results
from promise_seg.annotator.database import DATABASE, SCHEMA_VERSION, Database
from promise_seg.annotator.project import Project
from promise_seg.errors import PromiseError
from tests.annotator.helpers import bits_of, refusal

RECTANGLE = (slice(5, 15), slice(10, 30))


@pytest.fixture(params=["full", "read-only"])
def blocked(request, project):
    """A function that makes the disk full or read-only, and one that ends this."""
    connection = project._database.connection

    def block():
        if request.param == "full":
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        else:
            connection.execute("PRAGMA query_only = ON")

    def unblock():
        connection.execute("PRAGMA max_page_count = 1000000000")
        connection.execute("PRAGMA query_only = OFF")

    return block, unblock


def test_a_full_or_read_only_disk_is_said_and_nothing_is_lost(tab, blocked):
    block, unblock = blocked
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))
    before = tab.on_server()
    block()
    held = []
    for _ in range(200):  # until the last free page is taken
        stroke = {"type": "stroke", "object": 1, "mode": "add", "mask": bits_of(slice(0, 9), slice(0, 9))}
        body = {"id": tab.new_id(), "client": tab.client, "revision": tab.revision, "action": stroke}
        answer = tab.http.post(f"{tab.place}/actions", json=body)
        if answer.status_code != 200:
            held.append(body)
            break
        before = {1: answer.json()["changed"][0]}
        tab.take(answer.json())
    assert refusal(answer) == (507, "not-stored")
    assert "Nothing was changed" in answer.json()["error"]["message"]
    assert tab.on_server() == before
    unblock()
    again = tab.http.post(f"{tab.place}/actions", json=held[0])  # the very same
    assert again.status_code == 200
    assert tab.take(again.json())["revision"] == tab.http.get(tab.place).json()["revision"]


def test_an_image_whose_mask_cannot_be_written_is_not_done(tab, monkeypatch):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))

    def full(*arguments):
        raise PromiseError("masks/0.png: cannot write: No space left on device. Nothing was changed there")

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_json", full)
        answer = tab.send({"type": "accept"})
        assert refusal(answer) == (507, "not-stored")
    assert tab.http.get(tab.place).json()["state"] == "open"
    assert tab.act("accept")["state"] == "done"


def test_a_manifest_that_cannot_be_written_is_said_and_written_by_the_next_try(tab, folder, monkeypatch):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))
    body = {"id": tab.new_id(), "client": tab.client, "revision": tab.revision, "action": {"type": "accept"}}

    def full(path, text):
        raise PromiseError(f"{path}: cannot write: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_text", full)
        for _ in range(2):  # the second time it was done already
            answer = tab.http.post(f"{tab.place}/actions", json=body)
            assert refusal(answer) == (507, "not-stored")
            assert "Your change is saved, but the manifest is not up to date" in answer.json()["error"]["message"]
    assert not (folder / "manifest.csv").exists()
    assert tab.http.get(tab.place).json()["state"] == "done"
    answer = tab.http.post(f"{tab.place}/actions", json=body)
    assert (answer.status_code, answer.json()["state"], answer.json()["revision"]) == (200, "done", 2)
    assert len((folder / "manifest.csv").read_text().splitlines()) == 2


def test_a_project_of_a_newer_version_is_refused(project, model, images, folder):
    project.__exit__()
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(PromiseError, match="written by a newer version of promise-seg"):
        Project(model, [images], folder)


def test_what_is_no_project_is_not_opened_as_one(model, images, folder):
    folder.mkdir()
    (folder / DATABASE).write_text("This is not a database, but a text that is long enough to be asked for one." * 9)
    with pytest.raises(PromiseError, match="cannot be opened as the database of a project"):
        Project(model, [images], folder)


def test_two_servers_do_not_share_a_project(project, model, images, folder):
    with pytest.raises(PromiseError, match="is annotating here"):
        Project(model, [images], folder)


def test_every_commit_is_brought_to_the_disk(project):
    connection = project._database.connection
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # full


def test_a_file_that_is_no_project_is_closed(folder, monkeypatch):
    opened, connect = [], sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *more, **most: opened.append(connect(*more, **most)) or opened[-1])
    folder.mkdir()
    (folder / DATABASE).write_text("no database " * 99)
    with pytest.raises(PromiseError, match="cannot be opened as the database of a project"):
        Database(folder)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


def test_a_project_of_an_older_version_goes_on(model, images, folder):
    with Project(model, [images], folder):
        pass
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as connection:
        for later in ("ALTER TABLE images DROP COLUMN listed", "ALTER TABLE images DROP COLUMN proposed_by",
                      "DROP TABLE models", "DROP TABLE roles", "DROP TABLE classes", "DROP INDEX contents",
                      "ALTER TABLE images DROP COLUMN mask_kind", "DROP TABLE settings",
                      "PRAGMA user_version = 1"):  # fmt: skip
            connection.execute(later)
    with Project(model, [images], folder) as project:
        assert project.catalogue.row(1)["listed"] is None
