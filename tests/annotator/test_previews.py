"""Masks while dragging."""

import threading

import numpy as np
import pytest

from promise_seg.annotator.bodies import MOST_POINTS
from promise_seg.annotator.segmenter import Segmenter
from tests.annotator.helpers import bits_of, mask_of, points, previews


@pytest.fixture
def socket(tab):
    with previews(tab.http, 1) as socket:
        yield socket


def ask(socket, n=1, **question):
    socket.send_json({"n": n, "slice": 0, **question})
    return socket.receive_json()


def test_a_preview_is_what_the_action_would_give(tab, socket):
    tab.act("propose", slice=0)
    tab.act("stroke", object=1, mode="erase", mask=bits_of(slice(0, 15), slice(0, 40)))
    prompts = {"points": points((20, 12, 1), (30, 20, 1)), "box": [3, 4, 33, 28]}
    shown = ask(socket, object=1, **prompts)
    (one,) = tab.act("prompts", object=1, **prompts)["changed"]
    assert shown["mask"] == one["mask"]
    assert not mask_of(shown)[:15].any()
    assert shown["candidates"] == one["candidates"]
    assert shown["score"] == one["score"]


def test_a_preview_changes_nothing(tab, socket):
    tab.act("propose", slice=0)
    before = tab.http.get(tab.place).json()
    ask(socket, object=1, points=points((3, 3, 1)))
    ask(socket, **{"class": 1}, points=points((3, 3, 1)))
    after = tab.http.get(tab.place).json()
    told = {"holder": None, "trust": None, "ready": None}  # which go their own way meanwhile
    assert after | told == before | told


def test_a_candidate_can_be_previewed(tab, socket):
    own = ask(socket, points=points((20, 12, 1)))
    other = ask(socket, points=points((20, 12, 1)), candidate=(own["chosen"] + 1) % 3)
    assert other["chosen"] != own["chosen"]


def test_of_waiting_questions_the_newest_alone_is_answered(tab, socket, monkeypatch):
    begun, may_go_on, asked = threading.Event(), threading.Event(), []
    answer = Segmenter.answer

    def slow(self, number, index, label, prompts, *more):
        asked.append(prompts.points[0].x)
        begun.set()
        assert may_go_on.wait(60)
        return answer(self, number, index, label, prompts, *more)

    monkeypatch.setattr(Segmenter, "answer", slow)
    socket.send_json({"n": 0, "slice": 0, "points": points((0, 5, 1))})
    assert begun.wait(60)
    for n in range(1, 20):
        socket.send_json({"n": n, "slice": 0, "points": points((n, 5, 1))})
    may_go_on.set()
    answered = []
    while not answered or answered[-1] != 19:
        answered.append(socket.receive_json()["n"])
    assert answered == sorted(answered)
    assert len(answered) == len(asked) < 19  # few can be taken before the last has arrived


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"slice": 3}, "unknown"),
        ({"object": 7}, "unknown"),
        ({"class": 9}, "invalid"),
        ({"points": points((99, 3, 1))}, "invalid"),
        ({"points": points(*[(3, 3, 1)] * (MOST_POINTS + 1))}, "invalid"),
        ({"what": 1}, "invalid"),
    ],
)
def test_what_cannot_be_answered_is_said_and_the_next_is_answered(socket, question, code):
    refused = ask(socket, **question)
    assert (refused["n"], refused["error"]["code"]) == (1, code)
    assert ask(socket, 2, points=points((3, 3, 1)))["n"] == 2


def test_what_is_no_question_is_refused(socket):
    for text in ("", "{", "[]", "3", '"x"', "[" * 1000):
        socket.send_text(text)
        assert "error" in socket.receive_json()


def test_a_preview_of_an_image_that_is_not_there_says_so(client):
    with previews(client, 99) as socket:
        assert ask(socket)["error"]["code"] == "unknown"


def test_without_prompts_the_mask_is_empty(socket):
    shown = ask(socket)
    assert shown["mask"] == {"box": [0, 0, 0, 0], "bits": ""}
    assert np.array_equal(mask_of(shown), np.zeros((30, 40), bool))


def test_an_error_of_the_model_is_logged_and_said_and_the_next_is_answered(socket, monkeypatch, caplog):
    def broken(*more):
        raise RuntimeError("CUDA error")

    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, "answer", broken)
        refused = ask(socket, 3, points=points((3, 3, 1)))
    assert (refused["n"], refused["error"]["code"]) == (3, "failed")
    assert "CUDA error" not in str(refused)
    assert "CUDA error" in caplog.text
    assert ask(socket, 4, points=points((3, 3, 1)))["n"] == 4
