"""Tokens work once, and nothing is told without the session that one begins."""

import pytest
from starlette.websockets import WebSocketDisconnect

from promise_seg.annotator.access import Access
from promise_seg.annotator.guard import HEADERS
from tests.annotator.helpers import API, PORT, previews

OWN = f"http://127.0.0.1:{PORT}"


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


def test_head_uses_no_token(stranger, access):
    """As programs that look at a link before a person follows it."""
    assert stranger.head(f"/?token={access.token}").status_code == 401
    assert stranger.get(f"/?token={access.token}").status_code == 200


@pytest.mark.parametrize("foreign", ['other={"a": 1}', "a[b]=1", "x=\u00e9", "=", 'q="', "a=1,b=2"])
def test_odd_cookies_of_others_do_not_hide_the_session(stranger, access, foreign):
    session = access.exchange(access.token)
    for cookies in (f"{foreign}; {access.cookie_name}={session}", f"{access.cookie_name}={session}; {foreign}"):
        answer = stranger.get(f"{API}/project", headers={"cookie": cookies.encode("latin-1")})
        assert answer.status_code == 200
    assert stranger.get(f"{API}/project", headers={"cookie": foreign.encode("latin-1")}).status_code == 401
