"""How requests are opened: redirections are left to us, and what is under way can be ended from another thread."""

import socket
import threading
import urllib.request
import weakref
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from typing import IO, Any


class _NoRedirections(urllib.request.HTTPRedirectHandler):
    """``urllib`` would send the credentials to wherever redirections lead, and fail at those that cannot be read."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> None:
        """Follow none."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Sockets:
    """The open sockets of an opener."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock, self._is_ended = threading.Lock(), False

    def noted(self, connection: HTTPConnection) -> HTTPConnection:
        """Return a connection whose socket is noted as soon as there is one."""
        connect = connection.connect

        def connect_and_note() -> None:
            connect()
            with self._lock:
                self._open.add(connection.sock)
                if self._is_ended:
                    _shut(connection.sock)

        connection.connect = connect_and_note  # type: ignore[method-assign]
        return connection

    def end(self) -> None:
        """End everything that is read or written through them: whoever waits for it gets an error at once."""
        with self._lock:
            self._is_ended = True
            for one in self._open:
                _shut(one)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        one.shutdown(socket.SHUT_RDWR)


def build_opener(sockets: Sockets, *, with_proxies: bool) -> urllib.request.OpenerDirector:
    """Return an opener that follows no redirections, and whose sockets are noted.

    Args:
        sockets: notes them.
        with_proxies: whether the proxies of the environment are used. For this computer they must not be: what is sent
            to it is not encrypted, as there is no way on which it could be read.
    """

    class Plain(urllib.request.HTTPHandler):
        def do_open(self, http_class: Callable[..., Any], req: urllib.request.Request, **more: Any) -> HTTPResponse:
            return super().do_open(lambda *a, **k: sockets.noted(http_class(*a, **k)), req, **more)

    class Encrypted(urllib.request.HTTPSHandler):
        def do_open(self, http_class: Callable[..., Any], req: urllib.request.Request, **more: Any) -> HTTPResponse:
            return super().do_open(lambda *a, **k: sockets.noted(http_class(*a, **k)), req, **more)

    proxies = urllib.request.ProxyHandler(None if with_proxies else {})
    return urllib.request.build_opener(_NoRedirections, Plain, Encrypted, proxies)
