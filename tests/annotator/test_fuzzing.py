"""Whatever is sent, nothing breaks: no answer is that of a server that failed, and what is refused changes nothing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.annotator.helpers import API, bits_of, points, previews, refusal

NUMBERS = st.one_of(st.integers(-3, 45), st.integers(), st.floats(), st.sampled_from([0, 1, 2**31, 2**63, -0.5, 39.5]))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8), st.sampled_from(["\ud800", "\x00", "add"]))
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
POINT = st.fixed_dictionaries({"x": NUMBERS, "y": NUMBERS, "label": st.sampled_from([0, 1, 1, 2])})
MASKS = st.one_of(
    st.just(bits_of(slice(3, 9), slice(2, 12))),
    st.fixed_dictionaries({"box": st.lists(NUMBERS, min_size=4, max_size=4), "bits": st.text(max_size=12)}),
    ANYTHING,
)
KINDS = ["propose", "add", "remove", "prompts", "stroke", "properties", "candidate", "automatic", "refine", "undo",
         "redo", "accept", "skip", "reopen", "\ud800"]  # fmt: skip
FIELDS = {
    "slice": st.sampled_from([0, 0, 1, -1]) | ANYTHING,
    "class": st.sampled_from([1, 1, 2]) | ANYTHING,
    "object": st.integers(0, 6) | ANYTHING,
    "points": st.lists(POINT, max_size=3) | ANYTHING,
    "box": st.none() | st.lists(NUMBERS, min_size=4, max_size=4) | ANYTHING,
    "mask": MASKS,
    "mode": st.sampled_from(["add", "erase"]) | ANYTHING,
    "candidate": st.integers(-1, 3) | ANYTHING,
    "locked": st.booleans() | ANYTHING,
    "\udfff": ANYTHING,
}
ACTIONS = st.fixed_dictionaries({"type": st.sampled_from(KINDS)}, optional=FIELDS)
FEW = settings(max_examples=100, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
def test_no_action_breaks_the_server(tab):
    tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))

    @FEW
    @given(ACTIONS)
    def send(action):
        before = tab.http.get(tab.place).json()
        body = {"id": tab.new_id(), "client": tab.client, "revision": tab.revision, "action": action}
        try:
            answer = tab.http.post(f"{tab.place}/actions", json=body)
        except ValueError:  # the client itself cannot write NaN
            return
        assert answer.status_code in (200, 400, 404, 409, 422), answer.text
        if answer.status_code == 200:
            tab.take(answer.json())
        else:
            assert refusal(answer)[1] in ("malformed", "unknown", "locked", "invalid")
            assert tab.http.get(tab.place).json()["list"] == before["list"]

    send()
    assert tab.on_server() == tab.objects


@pytest.mark.slow
def test_no_body_breaks_the_server(client):
    @FEW
    @given(st.sampled_from(["/export", "/images/1/lease", "/images/1/actions", "/images/9/lease"]), ANYTHING)
    def send(path, body):
        try:
            answer = client.post(API + path, json=body)
        except ValueError:
            return
        assert answer.status_code in (400, 404, 409, 415, 422), answer.text

    send()


@pytest.mark.slow
def test_no_question_breaks_a_preview(tab):
    tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))
    with previews(tab.http, 1) as socket:

        @FEW
        @given(st.fixed_dictionaries({"n": st.integers(0, 9)}, optional=FIELDS))
        def send(question):
            socket.send_json(question)
            assert set(socket.receive_json()) & {"mask", "error"}

        send()
