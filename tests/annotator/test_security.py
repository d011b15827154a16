"""Who is kept out, and how: each attack of docs/security.md that is a matter of HTTP."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from uuid import UUID

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from promise_seg.annotator import guard
from promise_seg.annotator.access import Access
from promise_seg.annotator.app import page_files
from promise_seg.annotator.bodies import LARGEST_BODY, MOST_POINTS
from promise_seg.annotator.guard import HEADERS
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.refusals import Refusal
from tests.annotator.helpers import API, PORT, Tab, bits_of, points, previews, refusal
from tests.helpers import write_dataset

SEEDS = count()
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


@pytest.fixture(scope="module")
def shared_project(model, tmp_path_factory):
    place = tmp_path_factory.mktemp("security")
    images = write_dataset(place / "data", ("train",))
    with Project(model, [images], place / "project", Options(store=place / "store")) as project:
        yield project


@pytest.fixture
def project(shared_project):
    """One for all of these tests, as next to nothing is changed."""
    return shared_project


@pytest.fixture
def tab(client):
    tab = Tab(client, 1, seed=next(SEEDS))
    tab.open(take=True)
    for number in list(tab.objects):
        tab.act("remove", object=number)
    return tab


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
    "path",
    ["/", f"{API}/project", f"{API}/images", f"{API}/images/1/thumbnail", f"{API}/openapi.json", "/page/index.html",
     "/nothing"],
)  # fmt: skip
def test_without_a_session_nothing_is_told(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert "Open the newest address" in answer.text


def test_without_a_session_there_are_no_previews(stranger):
    with pytest.raises(WebSocketDisconnect), previews(stranger, 1, origin=OWN):
        pass


def test_the_token_works_once(stranger, access):
    token = access.token
    first = stranger.get(f"/?token={token}")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'href="/"' in first.text
    assert token not in first.text
    assert {name: first.headers[name] for name in HEADERS} == HEADERS
    cookie = first.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert token not in cookie
    stranger.cookies.clear()
    again = stranger.get(f"/?token={token}")
    assert again.status_code == 401
    assert "was used already" in again.text
    assert stranger.get("/?token=").status_code == 401
    assert access.token not in again.text


def test_each_use_of_a_token_is_told_once_with_the_next_one_valid(access):
    told = []
    access.on_use = lambda: told.append(access.token)
    first = access.token
    assert access.exchange(first)
    assert access.exchange(first) is access.exchange("wrong") is None
    assert told == [access.token]
    assert access.exchange(told[0])
    assert len({first, *told}) == 3


def test_who_is_in_already_may_open_the_address_again(client):
    answer = client.get("/?token=old&user=bob")
    assert answer.status_code == 200
    assert 'href="/?user=bob"' in answer.text
    assert "set-cookie" not in answer.headers


def test_the_token_leads_nowhere_else(stranger, access):
    answer = stranger.get(f'/?token={access.token}&user=//evil.com/%0d%0aset-cookie:x"><script>')
    assert 'href="/?user=//evil.com/%0D%0Aset-cookie%3Ax%22%3E%3Cscript%3E"' in answer.text


def test_a_link_on_another_site_leads_to_the_page_or_says_what_is_missing(stranger, client):
    """A browser does not send the cookie with it, so that only a page of the server itself can tell."""
    client.cookies.clear()
    for path in ("/?user=bob", "/?token=old&user=bob"):
        answer = stranger.get(path, headers={"sec-fetch-site": "cross-site"})
        assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert 'href="/?user=bob"' in answer.text
        assert "Open the newest address" in answer.text
        for site in ("same-origin", "none"):
            assert "html" not in stranger.get(path, headers={"sec-fetch-site": site}).headers["content-type"]


def test_sessions_cannot_be_guessed(stranger, access):
    for value in ("", "x", access.token):
        stranger.cookies.set(access.cookie_name, value)
        assert stranger.get(f"{API}/project").status_code == 401
        stranger.cookies.clear()
    assert len(access.token) >= 43


def test_with_tls_the_cookie_is_sent_over_tls_alone():
    secure = Access(PORT, ("box.example",), secure=True)
    assert "; Secure" in secure.set_cookie("x")
    assert secure.is_own_origin(f"https://box.example:{PORT}")
    assert not secure.is_own_origin(f"http://box.example:{PORT}")


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


def test_head_uses_no_token(stranger, access):
    """As programs that look at a link before a person follows it."""
    assert stranger.head(f"/?token={access.token}").status_code == 401
    assert stranger.get(f"/?token={access.token}").status_code == 200


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


PATHS = [
    "/page/../app.py", "/page/%2e%2e/app.py", "/page/%252e%252e/app.py", "/page/..%2fapp.py", "/page/..%5capp.py",
    "/page/..\\app.py", "/page//etc/passwd", "/page/%2fetc%2fpasswd", "/page/C:%5cwindows%5cwin.ini", "/page/C:/x.js",
    "/page/index.html%00.js", "/page/index.html%0a", "/page/js", "/page/js/", "/page/", "/page/INDEX.HTML",
    "/page/__init__.py", "/index.html", "/%2e%2e/%2e%2e/etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_the_page(client, path):
    assert client.get(path).status_code == 404


def test_the_page_is_served_with_its_types(client):
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    assert page_files()
    for name in page_files():
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kinds[name[name.rindex(".") :]])


@pytest.mark.parametrize(
    "number", ["-1", "0", "99", "1.5", "1e3", "abc", "..", "9" * 30, "%00", "1%0a", "1;drop table images"]
)
def test_numbers_of_images_are_numbers(client, number):
    for rest in ("", "/thumbnail", "/slices/0/pixels"):
        assert client.get(f"{API}/images/{number}{rest}").status_code in (404, 422)
    assert client.get(f"{API}/images/1/slices/{number}/pixels").status_code in (404, 422, 200)


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


@pytest.mark.parametrize("window", ["low=1", "low=nan&high=2", "low=3&high=2", "low=1e400&high=inf", "low=x&high=2"])
def test_windows_are_two_numbers(client, window):
    assert client.get(f"{API}/images/1/slices/0/pixels?{window}").status_code == 422


def test_depth_is_counted_without_going_down():
    assert guard._depth('{"a": [1, {"b": []}]}') == 4


def test_brackets_in_strings_are_no_depth():
    assert guard._depth('["]]]]", ["}}"], "[[[[[[", "\\"[[", "\\\\", [[]]]') == 3
    closing = '"' + "]" * 30 + '",'
    with pytest.raises(Refusal, match="deeper than"):
        guard.check_json((closing + "[") * 20)
    assert guard.check_json('{"a": "' + "[" * 100 + '"}') == {"a": "[" * 100}


@pytest.mark.parametrize("foreign", ['other={"a": 1}', "a[b]=1", "x=\u00e9", "=", 'q="', "a=1,b=2"])
def test_odd_cookies_of_others_do_not_hide_the_session(stranger, access, foreign):
    session = access.exchange(access.token)
    for cookies in (f"{foreign}; {access.cookie_name}={session}", f"{access.cookie_name}={session}; {foreign}"):
        answer = stranger.get(f"{API}/project", headers={"cookie": cookies.encode("latin-1")})
        assert answer.status_code == 200
    assert stranger.get(f"{API}/project", headers={"cookie": foreign.encode("latin-1")}).status_code == 401


@pytest.mark.parametrize("number", [2**31, 2**63, 10**30, -1])
def test_numbers_of_images_have_a_bound(client, number):
    assert client.request("DELETE", f"{API}/images/{number}/lease", json={"client": str(UUID(int=1))}).is_success
    with previews(client, number) as socket:
        for question in ({}, {"object": 1}):
            socket.send_json({"n": 1, "slice": 0, **question})
            assert socket.receive_json()["error"]["code"] == "unknown"
