"""Bodies of requests are JSON of a limited size, with values that an image can have."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from promise_seg.annotator import guard
from promise_seg.annotator.bodies import LARGEST_BODY, MOST_POINTS
from promise_seg.annotator.refusals import Refusal
from tests.annotator.helpers import API, PORT, bits_of, points, previews, refusal

OWN = f"http://127.0.0.1:{PORT}"


@pytest.mark.parametrize(
    "body", ["", "{", "[" * 100_000, '{"a":' * 100_000, "\x00", b'"\xff"', '{"a": NaN}', '"' + "[" * 10**6]
)
def test_what_is_no_json_is_refused(client, body):
    answer = client.post(f"{API}/export", content=body, headers={"content-type": "application/json"})
    assert refusal(answer) == (400, "malformed")


def test_a_body_that_is_no_mapping_is_named(client):
    expected = ": expected a mapping of names to values"
    assert client.post(f"{API}/export", json=[]).json()["error"]["message"] == f"body{expected}"
    with previews(client, 1) as socket:
        socket.send_json([])
        assert socket.receive_json()["error"]["message"] == f"message{expected}"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1e308", "-1e308", '"3"', "null", "true"])
def test_coordinates_are_numbers_of_the_image(tab, number):
    action = f'{{"type": "add", "slice": 0, "class": 1, "points": [{{"x": {number}, "y": 1, "label": 1}}]}}'
    body = f'{{"id": "{tab.new_id()}", "client": "{tab.client}", "revision": {tab.revision}, "action": {action}}}'
    answer = tab.http.post(f"{tab.place}/actions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert tab.on_server() == {}
    with previews(tab.http, 1) as socket:
        socket.send_text(f'{{"n": 1, "slice": 0, "points": [{{"x": {number}, "y": 1, "label": 1}}]}}')
        assert socket.receive_json()["error"]["code"] in ("malformed", "invalid")


def test_there_are_limits(tab, project):
    answer = tab.send({"type": "add", "slice": 0, "class": 1, "points": points(*[(1, 1, 1)] * (MOST_POINTS + 1))})
    assert refusal(answer) == (422, "invalid")
    answer = tab.send({"type": "add", "slice": 0, "class": 1, "points": points(*[(1, 1, 1)] * 100_000)})
    assert answer.status_code == 422
    million = '{"x": 1, "y": 1, "label": 1},' * 10**6
    answer = tab.http.post(f"{tab.place}/actions", content=million, headers={"content-type": "application/json"})
    assert refusal(answer) == (413, "too-large")
    limits = tab.http.get(f"{API}/project").json()["limits"]
    assert limits["points"] == MOST_POINTS
    assert limits["body_bytes"] == LARGEST_BODY


def test_objects_have_a_limit(tab, monkeypatch):
    monkeypatch.setattr("promise_seg.annotator.actions.MOST_OBJECTS", 2)
    for _ in range(2):
        tab.act("add", slice=0, **{"class": 1})
    assert refusal(tab.send({"type": "add", "slice": 0, "class": 1})) == (422, "invalid")


def test_a_body_that_says_it_is_large_is_not_read(client):
    headers = {"content-type": "application/json", "content-length": str(10 * 2**30)}
    assert refusal(client.post(f"{API}/export", content=b"{}", headers=headers)) == (413, "too-large")


def ask(server, access, receive, **waiting):
    """Post to a server whose client sends its body as ``receive`` says, and return the status of the answer."""
    session = access.exchange(access.token)
    headers = {"host": f"127.0.0.1:{PORT}", "origin": OWN, "content-type": "application/json",
               "cookie": f"{access.cookie_name}={session}"}  # fmt: skip
    scope = {
        "type": "http", "method": "POST", "path": f"{API}/export", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    sent = []

    async def send(message):
        sent.append(message)

    guarded = guard.Guard(server, access, **waiting)
    with ThreadPoolExecutor(1) as own_thread:  # a browser of other tests has a loop of events in this one
        own_thread.submit(lambda: asyncio.run(guarded(scope, receive, send))).result()
    return sent[0]["status"]


def test_a_body_that_does_not_say_how_large_it_is_is_cut_off(server, access):
    parts = []

    async def receive():
        parts.append(b" " * 2**20)
        return {"type": "http.request", "body": parts[0], "more_body": True}

    assert ask(server, access, receive) == 413
    assert len(parts) == LARGEST_BODY // 2**20 + 1


def test_a_body_that_never_ends_is_waited_for_in_vain(server, access):
    async def receive():
        await asyncio.Event().wait()

    assert ask(server, access, receive, body_seconds=0.01) == 408


def test_a_mask_that_unpacks_to_more_than_its_box_is_refused(tab):
    mask = bits_of(slice(0, 30), slice(0, 40)) | {"box": [0, 0, 4, 4]}
    assert refusal(tab.send({"type": "add", "slice": 0, "class": 1, "mask": mask})) == (422, "invalid")


def test_depth_is_counted_without_going_down():
    assert guard._depth('{"a": [1, {"b": []}]}') == 4


def test_brackets_in_strings_are_no_depth():
    assert guard._depth('["]]]]", ["}}"], "[[[[[[", "\\"[[", "\\\\", [[]]]') == 3
    closing = '"' + "]" * 30 + '",'
    with pytest.raises(Refusal, match="deeper than"):
        guard.check_json((closing + "[") * 20)
    assert guard.check_json('{"a": "' + "[" * 100 + '"}') == {"a": "[" * 100}
