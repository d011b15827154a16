"""A server on this computer that stands between us and an archive, or is one: it answers as a test wants."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SECONDS = 60


@dataclass(frozen=True)
class Asked:
    """A request, with its number from 0 among all that came."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    """An answer; with ``cut`` the connection ends after so many bytes of the body, and once ``hold`` is set."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hold: threading.Event | None = None
    reason: str | None = None


Rule = Callable[[Asked], Said | None]


def held_port() -> socket.socket:
    """A socket at whose port nothing answers, and whose port no other process is given until it is closed.

    Who asks for that very port, and allows it to be used again, may listen at it.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def port_of(held: socket.socket) -> int:
    """The port of a socket."""
    return held.getsockname()[1]


def json_answer(text: str = "[]", status: int = 200) -> Said:
    """An answer in DICOM JSON."""
    return Said(status, text.encode(), {"Content-Type": "application/dicom+json"})


def in_turn(*answers: Said) -> Rule:
    """A rule that gives these answers one after the other, and the last one from then on."""
    return lambda asked: answers[min(asked.number, len(answers) - 1)]


class Server:
    """Answers by a rule; what the rule gives no answer for is passed on.

    Args:
        rule: the first to be asked.
        onward: where requests are passed on to, as ``http://127.0.0.1:8042``.
        login: the ``Authorization`` that is sent there, in place of that of the request.
        wrap: makes the server's socket one that speaks TLS.
        port: where it listens; any that is free without one.
    """

    def __init__(
        self, rule: Rule = lambda asked: None, onward: str = "", login: str | None = None, wrap=None, port: int = 0
    ) -> None:
        self.rule, self.onward, self.login = rule, onward, login
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        self._server.daemon_threads = True
        if wrap is not None:
            self._server.socket = wrap(self._server.socket)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def address(self, path: str = "/dicom-web") -> str:
        """The address that users give."""
        return f"dicomweb+http://127.0.0.1:{self.port}{path}"

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Said:
        with self._lock:
            asked = Asked(len(self.asked), method, path, headers, body)
            self.asked.append(asked)
        return self.rule(asked) or self.pass_on(asked)

    def pass_on(self, asked: Asked) -> Said:
        """Return what the server behind this one answers."""
        if not self.onward:
            return Said(404)
        headers = {name: asked.headers[name] for name in ("Accept", "Content-Type") if name in asked.headers}
        if self.login:
            headers["Authorization"] = self.login
        request = urllib.request.Request(
            self.onward + asked.path, asked.body if asked.method == "POST" else None, headers, method=asked.method
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return Said(answer.status, answer.read(), {"Content-Type": answer.headers["Content-Type"] or ""})
        except urllib.error.HTTPError as error:
            return Said(error.code, error.read(), {"Content-Type": error.headers["Content-Type"] or ""})
        except OSError:
            return Said(502)

    def of_kind(self, method: str, part: str) -> list[Asked]:
        """Return the requests of a method whose paths have a part."""
        return [one for one in self.asked if one.method == method and part in one.path]


def _handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = server.answer(self.command, self.path, self.headers, body)
            self.send_response(said.status, said.reason)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in said.headers:
                self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body if said.cut is None else said.body[: said.cut])
            if said.hold is not None:
                said.hold.wait()

        do_GET = do_POST = _any

        def log_message(self, *_: object) -> None:
            pass

    return Handler
