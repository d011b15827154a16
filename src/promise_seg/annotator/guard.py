"""The checks that every request must pass first: host, origin, session, and the type and size of its body."""

import asyncio
import json
import re
from html import escape
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promise_seg.annotator.access import Access, url_host
from promise_seg.annotator.bodies import LARGEST_BODY, LONGEST_NAME
from promise_seg.annotator.refusals import Refusal

BODY_SECONDS = 30.0
"""The longest time in which a body must arrive."""
DEEPEST = 16
"""The most levels of lists and mappings in a body."""
_STRINGS_AND_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{}]', re.DOTALL)
"""Matches JSON strings, of which the last may be unterminated, and the brackets outside of strings."""
_SAFE = ("GET", "HEAD")
_METHODS = (*_SAFE, "POST", "DELETE")
_NO_SESSION = "Open the newest address on the terminal of promise annotate; each works once"
_LONGEST_SHOWN = 100
"""The most characters of a header or a method that a message repeats."""
_ENTRANCE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>Annotate</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<script type="module" src="/page/js/entering.js"></script>
</head>
<body><p id="message">{message}</p><p><a id="continue" href="{target}">Continue to the annotator</a></p></body>
</html>
"""
"""A page that continues to the annotator and keeps the part after ``#``; with a message, it continues after a click."""

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """The outermost ASGI layer of the server, which refuses requests before the application sees them.

    Args:
        app: the application behind the guard.
        access: the access control.
        body_seconds: the longest time in which a body must arrive, in seconds.
    """

    def __init__(self, app: ASGIApp, access: Access, body_seconds: float = BODY_SECONDS) -> None:
        self._app, self._access, self._body_seconds = app, access, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        head = RequestHead(scope)
        try:
            self._check_place(head)
            if head.method == "GET" and head.path == "/" and (token := head.query.get("token")):
                await self._exchange(head, token[0], send)
                return
            if not self._access.has_session(head.header("cookie")):
                raise Refusal(401, "no-session", _NO_SESSION)
            body = await self._body(head, receive) if scope["type"] == "http" else None
        except Refusal as refusal:
            await self._refuse(head, refusal, send)
            return
        if head.method == "HEAD":  # as GET; the web server leaves out the body
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive if body is None else _once(body, receive), _with_headers(send))

    def _check_place(self, head: "RequestHead") -> None:
        """Raise a :class:`Refusal` for foreign hosts and origins, control characters in the path, and other methods."""
        hosts = head.all_of("host")
        if len(hosts) != 1 or not self._access.is_own_host(hosts[0], head.arrival):
            raise self._foreign_host(" ".join(hosts), head.arrival)
        origin = head.all_of("origin")
        if (origin or head.changes) and (len(origin) != 1 or not self._access.is_own_origin(origin[0], head.arrival)):
            raise Refusal(403, "foreign", "This request does not come from a page of this server")
        if head.is_from_elsewhere and head.path != "/":
            raise Refusal(403, "foreign", "This request does not come from a page of this server")
        if any(ord(character) < 32 or ord(character) == 127 for character in head.path):
            raise Refusal(404, "unknown", "There is nothing at this address")
        if head.method not in _METHODS:
            raise Refusal(405, "unknown", f"There is no {head.method[:_LONGEST_SHOWN]} here")

    def _foreign_host(self, host: str, arrival: str | None) -> Refusal:
        """Return the refusal of a ``Host`` header. It names no host that a foreign page could not know already."""
        port = self._access.port
        expected = f"localhost:{port}" if arrival is None else f"localhost:{port}, {arrival}:{port}"
        return Refusal(
            403, "foreign",
            f"The address {host[:_LONGEST_SHOWN]!r} is not one of this server; expected {expected} or one that the "
            f"terminal shows. An SSH tunnel needs the same port at both ends: ssh -L {port}:localhost:{port} HOST",
        )  # fmt: skip

    async def _exchange(self, head: "RequestHead", token: str, send: Send) -> None:
        """Exchange the token of a printed address for a cookie, with a page that continues without the token.

        A redirect would not do: browsers send a ``SameSite=Strict`` cookie only with requests from pages of the same
        site, and a redirect still counts as a request from the page with the link, such as that of a chat.
        """
        session = self._access.exchange(token)
        if session is None and not self._access.has_session(head.header("cookie")):
            raise Refusal(401, "no-session", f"This address was used already, or is not complete. {_NO_SESSION}")
        cookie = {} if session is None else {"set-cookie": self._access.set_cookie(session)}
        await _answer(send, 200, _entrance(head), _HTML | cookie)

    async def _body(self, head: "RequestHead", receive: Receive) -> bytes:
        """Return the whole body; raise a :class:`Refusal` if it is too large, too slow or incomplete, or not JSON."""
        length = head.header("content-length")
        if length and (not length.isdecimal() or int(length) > LARGEST_BODY):
            raise _too_large()
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await _read(receive)
        except TimeoutError:
            raise Refusal(408, "too-slow", "The request did not arrive in time. Send it again") from None
        if head.method in _SAFE:
            if body:
                raise Refusal(400, "malformed", "GET and HEAD take no body")
            return body
        kind = head.header("content-type").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "not-json", "Send JSON, with Content-Type: application/json")
        check_json(body)
        return body

    async def _refuse(self, head: "RequestHead", refusal: Refusal, send: Send) -> None:
        if head.scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})
            return
        if head.path.startswith("/api/"):
            await _answer(send, refusal.status, json.dumps(refusal.as_json()).encode(), _JSON)
        elif refusal.code == "no-session" and head.path == "/" and head.is_from_elsewhere:
            # The browser may have a session, but it does not send the cookie when a link on another site is followed.
            words = f"{refusal.message}. If this browser has signed in already, continue."
            await _answer(send, refusal.status, _entrance(head, words), _HTML)
        else:
            await _answer(send, refusal.status, refusal.message.encode(), _TEXT)


_JSON = {"content-type": "application/json"}
_TEXT = {"content-type": "text/plain; charset=utf-8"}
_HTML = {"content-type": "text/html; charset=utf-8"}


class RequestHead:
    """The method, path and headers of a request."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.method = str(scope.get("method", "GET"))
        self.path = str(scope["path"])
        self.query = parse_qs(scope.get("query_string", b"").decode("latin-1"))

    @property
    def arrival(self) -> str | None:
        """The address of this computer at which the connection arrived, as in a URL; ``None`` if it is not known."""
        server = self.scope.get("server")
        return None if server is None or server[1] is None else url_host(server[0])

    @property
    def changes(self) -> bool:
        """Whether the request may change something, or opens a WebSocket."""
        return self.scope["type"] == "websocket" or self.method not in _SAFE

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether a browser says that the request comes from a page of another site or port."""
        return self.header("sec-fetch-site") not in ("", "same-origin", "none")

    def all_of(self, name: str) -> list[str]:
        """Return the values of all headers with a name."""
        return [value.decode("latin-1") for key, value in self.scope["headers"] if key == name.encode()]

    def header(self, name: str) -> str:
        """Return the value of a header; empty if it is missing or occurs several times."""
        values = self.all_of(name)
        return values[0] if len(values) == 1 else ""


def _entrance(head: RequestHead, message: str = "") -> bytes:
    """Return the page that continues to the annotator and keeps the name of the user, with a message."""
    user = head.query.get("user", [""])[0][:LONGEST_NAME]
    target = f"/?user={quote(user)}" if user else "/"
    return _ENTRANCE.format(target=escape(target), message=escape(message)).encode()


def check_json(body: bytes | str) -> Any:
    """Return the value of the JSON of a body.

    Raises:
        Refusal: if the body is not standard JSON, or is nested too deeply.
    """
    try:
        text = body.decode() if isinstance(body, bytes) else body
        if _depth(text) > DEEPEST:
            raise Refusal(400, "malformed", f"The JSON is deeper than {DEEPEST} levels")
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "malformed", f"The request is not JSON: {error}") from None


def _depth(text: str) -> int:
    """Return the depth to which brackets are nested in JSON, ignoring brackets in strings."""
    depth = deepest = 0
    for match in _STRINGS_AND_BRACKETS.finditer(text):
        first = text[match.start()]
        if first != '"':
            depth += 1 if first in "[{" else -1
            deepest = max(deepest, depth)
    return deepest


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _too_large() -> Refusal:
    return Refusal(413, "too-large", f"The request is larger than {LARGEST_BODY // 2**20} MB")


async def _read(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "malformed", "The request was not complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_BODY:
            raise _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _once(body: bytes, receive: Receive) -> Receive:
    """Return an ASGI ``receive`` that first delivers a body that was read already."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _with_headers(send: Send) -> Send:
    """Return an ASGI ``send`` that adds the security headers to each answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.encode(): value.encode() for name, value in HEADERS.items()}
            others = [(name, value) for name, value in message["headers"] if name.lower() not in own]
            message = {**message, "headers": [*others, *own.items()]}
        await send(message)

    return sending


async def _answer(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    pairs = {**headers, "content-length": str(len(body))}
    sending = _with_headers(send)
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in pairs.items()]
    await sending({"type": "http.response.start", "status": status, "headers": encoded})
    await sending({"type": "http.response.body", "body": body})
