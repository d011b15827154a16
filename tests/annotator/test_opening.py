"""An image that was looked at ahead opens at once: with its proposals, and without anything being computed."""

import os
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from promise_seg.annotator.encode_ahead import EncodeAhead
from promise_seg.annotator.project import Project
from promise_seg.annotator.upcoming import Upcoming
from promise_seg.workflows.models import Model
from tests.annotator.helpers import Tab
from tests.helpers import disc_image


def wait_until_ready(project):
    deadline = time.monotonic() + 60
    while not all(one["ready"] for one in project.images("name")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    project._ahead.stop()


@pytest.fixture
def asked(monkeypatch):
    """The names of what the model was asked, as long as this lasts."""
    asked = []
    for name in ("predict_objects", "predict", "trust", "encode_framed"):
        real = getattr(Model, name)

        def noted(self, *given, _real=real, _name=name, **named):
            asked.append(_name)
            return _real(self, *given, **named)

        monkeypatch.setattr(Model, name, noted)
    return asked


def test_an_image_that_was_looked_at_ahead_opens_with_its_proposals(client, project, asked):
    wait_until_ready(project)
    tab = Tab(client, 2)
    asked.clear()
    opened = tab.open(propose=0).json()
    assert asked == []
    assert opened["proposed"] == [0]
    assert (opened["revision"], opened["edits"], opened["can_undo"]) == (1, 0, False)
    (label, prompts, answer), *_ = project.segmenter.proposals(2, 0)
    first = opened["list"][0]
    assert (first["class"], first["automatic"], first["mask"]) == (label, True, answer.mask.as_json())
    assert [(point["x"], point["y"]) for point in first["points"]] == [(point.x, point.y) for point in prompts.points]
    assert tab.act("propose", slice=0)["changed"] == []
    assert tab.on_server().keys() == tab.objects.keys()


def test_a_proposal_that_is_not_there_yet_is_not_waited_for(client, project, model, asked):
    wait_until_ready(project)
    project.segmenter.use(model, 99)
    asked.clear()
    tab = Tab(client, 2)
    assert tab.open(propose=0).json()["proposed"] == []
    assert asked == []
    assert tab.act("propose", slice=0)["proposed"] == [0]


def test_a_model_that_took_over_proposes_by_itself(client, project, other_model):
    wait_until_ready(project)
    before = project.segmenter.proposals(2, 0)
    project.segmenter.use(other_model, 99)
    project.segmenter.look_ahead(2, 0)
    opened = Tab(client, 2).open(propose=0).json()
    assert opened["proposed"] == [0]
    assert {one["model"] for one in opened["list"]} == {99}
    assert project.segmenter.proposals(2, 0) != before


@pytest.mark.parametrize("state", ["skip", "accept"])
def test_a_finished_image_opens_as_it_is(client, project, state):
    wait_until_ready(project)
    tab = Tab(client, 2)
    tab.open()
    tab.act(state)
    client.request("DELETE", f"{tab.place}/lease", json={"client": tab.client})
    opened = tab.open(propose=0).json()
    assert (opened["proposed"], opened["list"], opened["revision"]) == ([], [], 1)


def test_proposals_of_a_file_are_not_added_to_another(client, project, images):
    wait_until_ready(project)
    Image.fromarray(disc_image(9)[0]).save(images.parent / "images/1.png")
    opened = Tab(client, 2).open(propose=0)
    assert opened.status_code == 200
    assert (opened.json()["changed"], opened.json()["list"]) == (True, [])


def test_an_image_opens_from_a_disk_that_takes_nothing(client, project):
    wait_until_ready(project)
    tab = Tab(client, 2)
    project._database.connection.execute("PRAGMA query_only = ON")
    opened = tab.open(propose=0)
    project._database.connection.execute("PRAGMA query_only = OFF")
    assert (opened.status_code, opened.json()["proposed"]) == (200, [])
    assert tab.act("propose", slice=0)["proposed"] == [0]


def test_an_image_that_somebody_has_gets_no_proposals_by_another(client, project):
    wait_until_ready(project)
    Tab(client, 2).open()
    assert Tab(client, 2, user="bob", seed=1).open(propose=0).status_code == 409
    assert project.image(2)["revision"] == 0


def test_what_an_opened_image_needs_is_loaded_first(project):
    wait_until_ready(project)
    upcoming = Upcoming(project.catalogue)
    assert [upcoming.next() for _ in range(4)] == [(1, 0), (2, 0), (3, 0), None]
    upcoming.opened(2)  # its features may not be in memory any more
    assert [upcoming.next() for _ in range(2)] == [(2, 0), None]


def test_the_list_costs_as_many_questions_to_the_database_for_many_images(model, five_pictures, tmp_path):
    def questions(places, folder):
        with Project(model, places, folder) as project:
            wait_until_ready(project)
            found = []
            project._database.connection.set_trace_callback(found.append)
            project.images("trust")
            project._database.connection.set_trace_callback(None)
        return len(found)

    pictures = sorted(five_pictures.iterdir())
    assert len(pictures) == 5
    assert questions(pictures, tmp_path / "five") == questions(pictures[:3], tmp_path / "three")


def test_the_values_of_a_volume_are_looked_through_once(model, volume, tmp_path, monkeypatch):
    with Project(model, [volume], tmp_path / "project") as project:
        source, read = project.catalogue.source(1), []
        values = type(source).values
        monkeypatch.setattr(type(source), "values", lambda self, index: read.append(index) or values(self, index))
        project._ahead.stop()
        read.clear()
        windows = [project.image(1)["window"] for _ in range(3)]
        assert np.unique([list(one.values()) for one in windows], axis=0).shape == (1, 4)
        assert len(read) <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_what_is_made_ahead_gives_way_to_whoever_waits():
    found, asked = [], threading.Event()

    def wanted():
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        asked.set()

    ahead = EncodeAhead(None, wanted, None)
    ahead.start()
    assert asked.wait(60)
    ahead.stop()
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert found[0] > own or own == 19  # which is the last
