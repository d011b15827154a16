"""A ``urllib`` opener that follows no redirections, and whose requests can be aborted from another thread."""

import socket
import threading
import urllib.request
import weakref
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from typing import IO, Any


class _NoRedirections(urllib.request.HTTPRedirectHandler):
    """A handler that follows no redirections: ``urllib`` would follow them to any host, or fail to parse them."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> None:
        """Return nothing, so that the redirection is not followed."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Sockets:
    """The open sockets of an opener. Several threads may share an instance."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock, self._is_ended = threading.Lock(), False

    def noted(self, connection: HTTPConnection) -> HTTPConnection:
        """Return the connection, changed so that its socket is recorded as soon as it is opened."""
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
        """Shut down all sockets, now and in future: threads that read or write through them get an error at once."""
        with self._lock:
            self._is_ended = True
            for one in self._open:
                _shut(one)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        one.shutdown(socket.SHUT_RDWR)


def build_opener(sockets: Sockets, *, with_proxies: bool) -> urllib.request.OpenerDirector:
    """Return an opener that follows no redirections and records its sockets.

    Args:
        sockets: collection that the sockets are added to.
        with_proxies: whether the proxies set in the environment are used. They must not be used for an archive on this
            computer, as requests to it are not encrypted.
    """

    class Plain(urllib.request.HTTPHandler):
        def do_open(self, http_class: Callable[..., Any], req: urllib.request.Request, **more: Any) -> HTTPResponse:
            return super().do_open(lambda *a, **k: sockets.noted(http_class(*a, **k)), req, **more)

    class Encrypted(urllib.request.HTTPSHandler):
        def do_open(self, http_class: Callable[..., Any], req: urllib.request.Request, **more: Any) -> HTTPResponse:
            return super().do_open(lambda *a, **k: sockets.noted(http_class(*a, **k)), req, **more)

    proxies = urllib.request.ProxyHandler(None if with_proxies else {})
    return urllib.request.build_opener(_NoRedirections, Plain, Encrypted, proxies)
