"""Undo and redo over all kinds of changes, and what is left of them when the server is started anew."""

import numpy as np

from promise_seg.annotator.history import History
from promise_seg.annotator.project import Project
from tests.annotator.helpers import Tab, bits_of, client_of, points, refusal


def random_action(rng, objects):
    """One of all kinds of steps, at random."""
    if not objects or rng.random() < 0.2:
        return {"type": "add", "slice": 0, "class": 1, "points": points(place(rng))}
    number = int(rng.choice(sorted(objects)))
    left, top = int(rng.integers(30)), int(rng.integers(20))
    mask = bits_of(slice(top, top + 8), slice(left, left + 8))
    kinds = [
        {"type": "remove", "object": number},
        {"type": "prompts", "object": number, "points": points(place(rng), place(rng)), "box": [left, top, 39, 29]},
        {"type": "stroke", "object": number, "mode": str(rng.choice(["add", "erase"])), "mask": mask},
        {"type": "properties", "object": number, "hidden": bool(rng.integers(2)), "accepted": bool(rng.integers(2))},
        {"type": "add", "slice": 0, "class": 1, "mask": mask},
        {"type": "automatic", "object": number},
    ]
    return kinds[int(rng.integers(len(kinds)))]


def place(rng):
    return int(rng.integers(40)), int(rng.integers(30)), int(rng.integers(2))


def test_every_step_can_be_taken_back_and_done_again(tab):
    rng = np.random.default_rng(0)
    tab.act("propose", slice=0)
    states = [dict(tab.objects)]
    for _ in range(20):
        action = random_action(rng, tab.objects)
        tab.act(action.pop("type"), **action)
        states.append(dict(tab.objects))
    for expected in states[-2::-1]:
        answer = tab.act("undo")
        assert tab.objects == expected
        assert answer["can_redo"]
    assert not answer["can_undo"]
    for expected in states[1:]:
        answer = tab.act("redo")
        assert tab.objects == expected
    assert not answer["can_redo"]
    assert tab.on_server() == states[-1]


def test_without_a_step_undo_and_redo_do_nothing(tab):
    tab.act("propose", slice=0)
    before = dict(tab.objects)
    assert tab.act("undo")["changed"] == tab.act("redo")["changed"] == []
    assert tab.objects == before


def test_a_new_step_forgets_what_was_undone(tab):
    tab.act("add", slice=0, **{"class": 1})
    tab.act("undo")
    assert not tab.act("add", slice=0, **{"class": 1})["can_redo"]
    assert tab.act("redo")["changed"] == []
    assert list(tab.on_server()) == [2]


def test_states_of_the_image_are_no_steps(tab):
    tab.act("add", slice=0, **{"class": 1})
    tab.act("skip")
    answer = tab.act("undo")
    assert answer["removed"] == [1]
    assert answer["state"] == "open"


def test_all_is_there_after_a_restart_undo_too(model, images, folder):
    with Project(model, [images], folder) as project:
        first = Tab(client_of(project), 1, seed=0)
        first.open()
        first.act("propose", slice=0)
        first.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(3, 9), slice(4, 8)))
        first.act("stroke", object=2, mode="erase", mask=bits_of(slice(3, 5), slice(4, 8)))
        undone = first.act("undo")
    with Project(model, [images], folder) as project:
        second = Tab(client_of(project), 1, seed=1)
        assert second.open().json()["can_redo"]
        assert second.revision == undone["revision"]
        assert second.objects == first.objects
        first.http = second.http
        redone = second.act("redo")
        assert redone["changed"][0]["painted"]
        second.act("undo")
        second.act("undo")
        assert list(second.on_server()) == [1]
        facts = second.http.get("/api/v1/images?order=name").json()["images"][0]
        assert facts["edits"] == 6  # each but the proposal
        assert facts["user"] == "annotator"
        assert facts["seconds"] >= 0


def test_an_action_that_is_sent_again_is_not_done_again(tab):
    body = {"id": tab.new_id(), "client": tab.client, "revision": 0, "action": {"type": "add", "slice": 0, "class": 1}}
    first = tab.http.post(f"{tab.place}/actions", json=body)
    tab.take(first.json())
    tab.act("properties", object=1, hidden=True)
    again = tab.http.post(f"{tab.place}/actions", json=body)  # with its old revision
    assert again.status_code == 200
    assert again.json() == first.json()
    assert tab.on_server() == tab.objects
    body["action"]["class"] = 2
    assert refusal(tab.http.post(f"{tab.place}/actions", json=body)) == (409, "repeated")


def test_an_old_revision_is_refused(tab):
    tab.act("add", slice=0, **{"class": 1})
    answer = tab.send({"type": "add", "slice": 0, "class": 1}, revision=0)
    assert refusal(answer) == (409, "stale")
    assert answer.json()["error"]["revision"] == 1


def test_the_model_is_not_asked_on_the_way_back(tab, project, monkeypatch):
    tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))
    monkeypatch.setattr(project.segmenter, "answer", None)
    tab.act("undo")
    assert tab.act("redo")["changed"][0]["score"] is not None


def test_an_id_that_another_image_used_meanwhile_is_a_conflict(tab, monkeypatch):
    """As when both actions are sent at once: neither finds the other before it is done."""
    other = Tab(tab.http, 2, seed=1)
    other.open()
    number = tab.new_id()
    action = {"type": "add", "slice": 0, "class": 1}
    monkeypatch.setattr(History, "answered", lambda *more: None)
    assert tab.send(action, id=number).status_code == 200
    assert refusal(other.send(action, id=number)) == (409, "repeated")
    assert other.on_server() == {}


def test_slices_whose_proposals_were_changed_count_as_edited(tab, project):
    tab.act("propose", slice=0)
    assert project.history.edited_slices(1) == set()
    number = next(iter(tab.objects))
    tab.act("properties", object=number, accepted=True)
    tab.act("add", slice=0, **{"class": 1})  # empty
    tab.act("accept")
    assert project.history.edited_slices(1) == set()
    tab.act("stroke", object=number, mode="add", mask=bits_of(slice(0, 5), slice(0, 5)))
    assert project.history.edited_slices(1) == {0}
    tab.act("undo")
    assert project.history.edited_slices(1) == set()
    tab.act("remove", object=number)
    assert project.history.edited_slices(1) == {0}


def test_masks_that_were_drawn_from_nothing_count_as_edited(tab, project):
    assert project.history.edited_slices(1) == set()
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(0, 5), slice(0, 5)))
    assert project.history.edited_slices(1) == {0}
