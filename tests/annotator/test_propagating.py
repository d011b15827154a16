"""Objects of a slice propagated to the following slices."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest

from promise_seg.annotator import propagation
from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.objects import Answer, Prompts
from promise_seg.annotator.project import Project
from promise_seg.annotator.propagation import Propagations
from promise_seg.annotator.refusals import Refusal
from tests.annotator.helpers import Tab, bits_of, client_of, mask_of, points, refusal

SHIFT = 2


def moved(mask, by=SHIFT):
    """A mask some columns further to the right."""
    return np.roll(mask, by, axis=1)


class Seen:
    """A model to which an object moves to the right with each slice, and ends where it is told to.

    Args:
        ends: the slice from which on there is nothing.
    """

    def __init__(self, ends=99):
        self.ends, self.asked, self.errors = ends, [], {}
        self.at = threading.Event()
        self.may_go = threading.Event()
        self.may_go.set()

    def answer(self, number, index, label, prompts, started_from=None, candidate=None):
        self.asked.append((index, prompts))
        self.at.set()
        assert self.may_go.wait(600)
        if index in self.errors:
            raise self.errors[index]
        left, top, right, bottom = (10, 5, 21, 14) if prompts.box is None else map(round, prompts.box)
        mask = np.zeros((30, 40), bool)
        mask[top : bottom + 1, left + SHIFT : right + SHIFT + 1] = True
        return Answer(MaskBits.of(mask) if index < self.ends else MaskBits.of(mask & False), (0.9, 0.8, 0.7), 0, 0.9)


@pytest.fixture
def project(model, volume, folder):
    with Project(model, [volume], folder) as project:
        yield project


@pytest.fixture
def seen(project, monkeypatch):
    seen = Seen()
    monkeypatch.setattr(project.segmenter, "answer", seen.answer)
    monkeypatch.setattr(project.segmenter, "proposals", lambda number, index: [])
    return seen


@pytest.fixture
def begun(tab, seen):
    """A tab with an object in the first slice."""
    tab.act("add", slice=0, mask=bits_of(slice(5, 15), slice(10, 22)), **{"class": 1})
    return tab


def test_each_slice_is_asked_with_the_box_of_the_mask_before(begun, seen):
    answer = begun.act("propagate", slice=0, last=3)
    assert [one["slice"] for one in answer["changed"]] == [1, 2, 3]
    first = mask_of(begun.objects[1])
    for number, one in enumerate(answer["changed"], 1):
        assert np.array_equal(mask_of(one), moved(first, SHIFT * number))
        assert (one["class"], one["refines"], one["automatic"]) == (1, False, False)
    assert [index for index, _ in seen.asked] == [1, 2, 3]
    assert [prompts.box for _, prompts in seen.asked] == [(10 + n, 5, 21 + n, 14) for n in (0, 2, 4)]


def test_it_goes_backwards_and_is_one_step_of_undo(begun):
    begun.act("add", slice=4, mask=bits_of(slice(5, 15), slice(10, 22)), **{"class": 1})
    before = dict(begun.objects)
    answer = begun.act("propagate", slice=4, last=2, objects=[2])
    assert [one["slice"] for one in answer["changed"]] == [3, 2]
    begun.act("undo")
    assert begun.on_server() == before
    begun.act("redo")
    assert len(begun.objects) == 4


def test_prompts_are_asked_again_where_that_is_wanted(begun, seen):
    begun.act("prompts", object=1, points=points((12, 8, 1)), box=None)
    answer = begun.act("propagate", slice=0, last=2, source="prompts")
    assert [one["points"] for one in answer["changed"]] == [points((12, 8, 1))] * 2
    assert all(prompts.points and prompts.box is None for _, prompts in seen.asked)


def test_an_object_ends_where_nothing_is_found(begun, seen):
    seen.ends = 2
    assert [one["slice"] for one in begun.act("propagate", slice=0, last=4)["changed"]] == [1]
    assert begun.act("propagate", slice=1, last=4)["changed"] == []
    assert begun.act("undo")["removed"] == [2]  # what found nothing is no step


def test_what_a_person_made_stays_and_is_taken_on(begun, seen):
    begun.act("add", slice=1, mask=bits_of(slice(5, 15), slice(9, 19)), **{"class": 1})
    answer = begun.act("propagate", slice=0, last=2, objects=[1])
    (made,) = answer["changed"]
    assert made["slice"] == 2
    assert np.array_equal(mask_of(made), moved(mask_of(begun.objects[2])))


def test_proposals_make_room_and_are_not_made_twice(begun, project, monkeypatch):
    mask = np.zeros((30, 40), bool)
    mask[5:15, 12:24] = True
    proposal = (1, Prompts(box=(1.0, 1.0, 5.0, 5.0)), Answer(MaskBits.of(mask)))
    monkeypatch.setattr(project.segmenter, "proposals", lambda number, index: [proposal])
    (proposed,) = begun.act("propose", slice=1)["changed"]
    answer = begun.act("propagate", slice=0, last=2, objects=[1])
    assert answer["removed"] == [proposed["id"]]
    assert begun.act("propose", slice=2)["changed"] == []


@contextmanager
def propagating(tab, seen):
    """What a propagation answers that is at its first slice meanwhile."""
    seen.may_go.clear()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(tab.act("propagate", slice=0, last=4)))
    thread.start()
    try:
        assert seen.at.wait(600)
        yield answers
    finally:
        seen.may_go.set()
        thread.join()


def test_it_is_stopped_with_what_was_done(begun, seen, client):
    with propagating(begun, seen) as answers:
        assert client.get(f"{begun.place}/propagation").json() == {"running": True, "done": 0, "total": 4}
        client.request("DELETE", f"{begun.place}/propagation", json={})
    assert [one["slice"] for one in answers[0]["changed"]] == [1]
    assert client.get(f"{begun.place}/propagation").json() == {"running": False, "done": 0, "total": 0}
    assert len(begun.act("propagate", slice=1, last=3)["changed"]) == 2  # the next one is not stopped


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        ({"slice": 0, "last": 0}, (422, "invalid")),
        ({"slice": 0, "last": 5}, (404, "unknown")),
        ({"slice": 9, "last": 0}, (404, "unknown")),
        ({"slice": 1, "last": 2}, (422, "invalid")),
        ({"slice": 1, "last": 2, "objects": [1]}, (422, "invalid")),
        ({"slice": 0, "last": 2, "objects": [7]}, (404, "unknown")),
        ({"slice": 0, "last": 2, "source": "magic"}, (422, "invalid")),
    ],
)
def test_what_cannot_be_meant_is_refused(begun, action, wanted):
    assert refusal(begun.send({"type": "propagate", **action})) == wanted


def test_a_server_that_ends_does_not_wait_for_all_slices(model, volume, folder, monkeypatch):
    seen = Seen()
    with Project(model, [volume], folder) as project:
        monkeypatch.setattr(project.segmenter, "answer", seen.answer)
        tab = Tab(client_of(project), 1)
        tab.open()
        tab.act("add", slice=0, mask=bits_of(slice(5, 15), slice(10, 22)), **{"class": 1})
        with propagating(tab, seen) as answers:
            project.propagations.close()
        assert [one["slice"] for one in answers[0]["changed"]] == [1]


def test_it_can_be_stopped_before_its_first_slice():
    propagations = Propagations()
    goes_on = propagations.goes_on(7)
    assert propagations.facts(7) == {"running": True, "done": 0, "total": 0}
    propagations.cancel(7)
    assert not goes_on(0, 4)
    propagations.end(7)
    assert propagations.goes_on(7)(0, 4)


def test_a_tab_holds_its_own_image_for_longer_while_it_is_under_way(begun, seen):
    with propagating(begun, seen) as answers:
        held = begun.open()  # which would wait for its end
        assert (held.status_code, held.json()["revision"], answers) == (200, 1, [])
    assert len(answers[0]["changed"]) == 4


@pytest.mark.parametrize(
    ("error", "says"),
    [(Refusal(422, "unreadable", "slice 4 is damaged"), "slice 4 is damaged"), (RuntimeError("oh"), "terminal shows")],
)
def test_what_was_done_before_an_error_is_kept(begun, seen, error, says):
    seen.errors[3] = error
    answer = begun.act("propagate", slice=0, last=4)
    assert [one["slice"] for one in answer["changed"]] == [1, 2]
    assert answer["note"].startswith("It ended at slice 4: ")
    assert says in answer["note"]
    nothing = begun.send({"type": "propagate", "slice": 2, "last": 4})
    assert nothing.status_code == (error.status if isinstance(error, Refusal) else 500)


def test_objects_are_counted_as_they_are_made(begun, seen, monkeypatch):
    monkeypatch.setattr(propagation, "MOST_OBJECTS", 3)
    seen.ends = 2
    assert begun.act("propagate", slice=0, last=4)["note"] == ""  # one object, whatever its four slices could hold
    seen.ends = 99
    answer = begun.act("propagate", slice=1, last=4)
    assert [one["slice"] for one in answer["changed"]] == [2]
    assert answer["note"] == "It ended at slice 4: an image can have 3 objects"
    assert refusal(begun.send({"type": "propagate", "slice": 2, "last": 4})) == (422, "invalid")


def test_an_object_that_is_named_twice_is_propagated_once(begun):
    answer = begun.act("propagate", slice=0, last=2, objects=[1, 1])
    assert [one["slice"] for one in answer["changed"]] == [1, 2]
