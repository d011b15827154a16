"""Hosts, origins, methods and kinds of requests that are refused, and the headers that each answer has."""

import json

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from promise_seg.annotator import guard
from promise_seg.annotator.access import Access
from promise_seg.annotator.guard import HEADERS
from tests.annotator.helpers import API, PORT, previews, refusal

OWN = f"http://127.0.0.1:{PORT}"
FOREIGN_HOSTS = [
    "evil.com", f"evil.com:{PORT}", f"localhost.evil.com:{PORT}", f"127.0.0.1.evil.com:{PORT}", "127.0.0.1",
    f"127.0.0.1:{PORT + 1}", "localhost:80", f"0.0.0.0:{PORT}", f"[::2]:{PORT}", f"[::ffff:127.0.0.1]:{PORT}",
    f"2130706433:{PORT}", f"user@127.0.0.1:{PORT}", f"127.0.0.1:{PORT}@evil.com", "", " ", f"127.0.0.1:{PORT}/",
]  # fmt: skip
FOREIGN_ORIGINS = [
    "null", "http://evil.com", f"http://localhost.evil.com:{PORT}", "http://127.0.0.1", f"http://127.0.0.1:{PORT + 1}",
    f"https://127.0.0.1:{PORT}", f"http://[::2]:{PORT}", f"file://127.0.0.1:{PORT}", f"{OWN}/", f"{OWN}@evil.com",
    f"http://127.0.0.1:{PORT}.evil.com", "", "http://[", f"{OWN}?x", f"{OWN}, http://evil.com",
]  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_foreign_hosts_are_refused(client, host):
    """As a page does whose name was made to point to this computer: DNS rebinding."""
    assert refusal(client.get(f"{API}/project", headers={"host": host})) == (403, "foreign")


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}", f"127.0.0.1:{PORT}"])
def test_names_of_this_computer_are_its_own(client, host):
    assert client.get(f"{API}/project", headers={"host": host}).status_code == 200


@pytest.fixture
def neighbour(server, access):
    """A client on another computer of the network, whose requests arrive at an address that no name resolves to."""
    client = TestClient(server, base_url=f"http://192.168.1.5:{PORT}", raise_server_exceptions=False)
    client.headers |= {"origin": f"http://192.168.1.5:{PORT}"}
    return client


def test_the_address_at_which_a_request_arrives_is_an_own_one(neighbour, access):
    assert neighbour.get(f"/?token={access.token}").status_code == 200
    assert neighbour.get(f"{API}/project").status_code == 200
    assert neighbour.post(f"{API}/export", json={"format": "coco"}).status_code == 200
    for host in ("evil.com", f"evil.com:{PORT}", f"192.168.1.6:{PORT}", "192.168.1.5", f"192.168.1.5:{PORT + 1}"):
        assert refusal(neighbour.get(f"{API}/project", headers={"host": host})) == (403, "foreign")
    for origin in (f"http://192.168.1.6:{PORT}", f"https://192.168.1.5:{PORT}", "http://192.168.1.5"):
        assert refusal(neighbour.get(f"{API}/project", headers={"origin": origin})) == (403, "foreign")


@pytest.mark.parametrize(
    ("server", "arrival"),
    [(("10.0.0.7", PORT), "10.0.0.7"), (("::ffff:10.0.0.7", PORT), "10.0.0.7"), (("fe80::7", PORT), "[fe80::7]"),
     (("/run/socket", None), None), (None, None)],
)  # fmt: skip
def test_addresses_of_arrival_are_written_as_in_urls(server, arrival):
    scope = {"type": "http", "path": "/", "headers": [], "server": server}
    assert guard.RequestHead(scope).arrival == arrival


def test_a_foreign_host_is_told_the_way_in(client, neighbour):
    """As behind an SSH tunnel with another port here. Names that a foreign page cannot know are not told."""
    answer = client.get("/", headers={"host": "localhost:9000"})
    assert answer.status_code == 403
    assert f"'localhost:9000' is not one of this server; expected localhost:{PORT}, 127.0.0.1:{PORT} or" in answer.text
    assert f"ssh -L {PORT}:localhost:{PORT} HOST" in answer.text
    named = guard.Guard(None, Access(PORT, ("box",)))._foreign_host("x" * 1000, None).message
    assert "box" not in named
    assert len(named) < 400


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_foreign_origins_change_nothing_and_read_nothing(tab, origin):
    body = {"id": tab.new_id(), "client": tab.client, "revision": tab.revision, "action": {"type": "skip"}}
    assert refusal(tab.http.post(f"{tab.place}/actions", json=body, headers={"origin": origin})) == (403, "foreign")
    assert refusal(tab.http.get(tab.place, headers={"origin": origin})) == (403, "foreign")
    with pytest.raises(WebSocketDisconnect) as refused, previews(tab.http, 1, origin=origin):
        pass
    assert refused.value.code == 1008
    assert tab.http.get(tab.place).json()["state"] == "open"


def test_without_an_origin_nothing_is_changed(tab):
    del tab.http.headers["origin"]
    assert refusal(tab.send({"type": "skip"})) == (403, "foreign")
    assert tab.http.get(tab.place).json()["state"] == "open"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_servers_of_this_computer_read_nothing(client, site):
    """Cookies do not know ports, so that a browser sends ours with what such a page asks for."""
    for path in (f"{API}/project", f"{API}/images/1/slices/0/pixels", "/page/js/api.js"):
        assert client.get(path, headers={"sec-fetch-site": site}).status_code == 403


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
             "text/plain; application/json", "application/jsonp"],
)  # fmt: skip
def test_forms_of_other_pages_are_refused(tab, kind):
    """What a form or a script of another page can send without being asked for permission first."""
    body = {"id": tab.new_id(), "client": tab.client, "revision": tab.revision, "action": {"type": "skip"}}
    answer = tab.http.post(f"{tab.place}/actions", content=json.dumps(body), headers={"content-type": kind})
    assert refusal(answer) == (415, "not-json")


def test_no_other_origin_is_ever_allowed(client):
    answer = client.options(f"{API}/project", headers={"access-control-request-method": "POST"})
    assert answer.status_code == 405
    for found in (answer, client.get(f"{API}/project"), client.get("/")):
        assert not [name for name in found.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "OPTIONS", "BREW"])
def test_other_methods_are_refused(client, method):
    assert client.request(method, f"{API}/images/1/lease", json={}).status_code == 405


@pytest.mark.parametrize("path", ["/", "/page/js/api.js", f"{API}/project", f"{API}/images/1/thumbnail"])
def test_head_is_answered_as_get(client, path):
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.headers) == (200, got.headers)


def test_every_answer_has_the_headers_of_safety(client, stranger):
    found = [client.get(path) for path in ("/", "/page/js/api.js", f"{API}/project", f"{API}/nothing", "/x")]
    found.append(client.post(f"{API}/export", json={"format": "x"}))
    found.append(client.get(f"{API}/project", headers={"host": "evil.com"}))
    for answer in found:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
