"""Run the server: find a port, report the address, and serve until the server is stopped."""

import asyncio
import errno
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import uvicorn

from promise_seg.annotator.access import Access
from promise_seg.annotator.app import create_app
from promise_seg.annotator.bodies import LARGEST_BODY
from promise_seg.annotator.connections import PatientConnection
from promise_seg.annotator.metrics import Layer
from promise_seg.annotator.project import Project
from promise_seg.errors import SettingsError

DEFAULT_PORT = 8765
LOCAL = "127.0.0.1"
_TRIES = 100
_MOST_CONNECTIONS = 500
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@dataclass(frozen=True)
class Place:
    """The address at which the server listens, and its TLS certificate.

    Args:
        host: an IP address or a host name of this computer.
        port: the first port to try; 0 for any free port.
        certificate, key: the files of the TLS certificate and its private key.
        insecure: whether other computers may connect without TLS.

    Raises:
        SettingsError: if other computers could connect without TLS and ``insecure`` is not set, or the certificate and
            key cannot be used.
    """

    host: str = LOCAL
    port: int = DEFAULT_PORT
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("--tls-certificate and --tls-key: give both, or neither")
        if not self.is_local and not self.is_secure and not self.insecure:
            raise SettingsError(
                f"--host {self.host}: others could read what you annotate. Give --tls-certificate and --tls-key, or "
                "--insecure if the network is your own"
            )
        if self.certificate is not None and self.key is not None:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(
                    f"--tls-certificate {self.certificate}: cannot be used with --tls-key {self.key}: {error}. Both "
                    "must be PEM files that belong together, without a password"
                ) from error

    @property
    def is_secure(self) -> bool:
        """Whether the server speaks TLS."""
        return self.certificate is not None

    @property
    def is_local(self) -> bool:
        """Whether only this computer can connect."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that requests may use; the first one is printed."""
        if self.host in ("0.0.0.0", "::"):
            return (socket.gethostname(), *_own_addresses())
        return (f"[{self.host}]" if ":" in self.host else self.host,)

    def access(self, port: int) -> Access:
        """Return the access control of a server that listens at this port."""
        return Access(port, self.names, self.is_secure, self.names[0])


def _own_addresses() -> tuple[str, ...]:
    """Return the IP addresses of this computer to which its name resolves, with IPv6 addresses in brackets."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return ()
    return tuple(f"[{one}]" if ":" in one else one for one in sorted(found))


def listening_socket(place: Place, note: Callable[[str], object]) -> socket.socket:
    """Return a socket that listens at the given port, or at the next free port with a note.

    Raises:
        SettingsError: if there is no such host, or no free port.
    """
    last: OSError | None = None
    for port in [0] if place.port == 0 else range(place.port, min(place.port + _TRIES, 2**16)):
        try:
            kind = socket.getaddrinfo(place.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            found = socket.socket(kind[0], socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError for a name that no host can have
            raise _not_ours(place, error) from error
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(kind[4])
            found.listen(socket.SOMAXCONN)
        except OSError as error:
            found.close()
            if error.errno == errno.EADDRNOTAVAIL:
                raise _not_ours(place, error) from error
            last = error
            continue
        if port != place.port:
            note(f"port {place.port} is in use; listening on {port}")
        return found
    reason = "" if last is None else f": {last.strerror}"
    raise SettingsError(f"--port {place.port}: no free port from there on at {place.host}{reason}. Choose another")


def _not_ours(place: Place, error: OSError | UnicodeError) -> SettingsError:
    reason = getattr(error, "strerror", None) or str(error)
    return SettingsError(
        f"--host {place.host}: is no address of this computer: {reason}. Give one of its own, or 0.0.0.0"
    )


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the program around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield


@contextmanager
def _ending_first(server: uvicorn.Server) -> Iterator[None]:
    """Let a signal end the server before it ends the program: running requests are answered, new ones are not accepted.

    A signal that stopped the event loop at an arbitrary point would leave requests that are neither answered nor ended,
    and the program would wait for their threads. Signals that are ignored, as with ``nohup``, stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        server.should_exit, server.force_exit = True, bool(received)
        log.setLevel(logging.CRITICAL)  # do not log requests that are cut off at the end
        received.append(number)

    log = logging.getLogger("uvicorn.error")
    level, before = log.level, {}
    for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        log.setLevel(level)
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def _server(project: Project, place: Place, access: Access, layer: Layer = lambda app: app) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(project, access, layer), http=PatientConnection, log_level="warning", access_log=False,
        server_header=False, lifespan="off",
        ws_max_size=LARGEST_BODY, limit_concurrency=_MOST_CONNECTIONS, timeout_keep_alive=30,
        timeout_graceful_shutdown=2, proxy_headers=False,
        ssl_certfile=None if place.certificate is None else str(place.certificate),
        ssl_keyfile=None if place.key is None else str(place.key),
    )  # fmt: skip
    return _Quiet(config)


def serve(
    project: Project,
    place: Place,
    say: Callable[[str], object],
    note: Callable[[str], object],
    layer: Layer = lambda app: app,
) -> None:
    """Serve a project until a signal arrives; the signal is raised again after the server has ended.

    Args:
        project: the project, inside of its ``with`` statement.
        place: the address at which to listen.
        say: called with the address as soon as the server can be reached.
        note: called with a sentence if another port is used.
        layer: wraps the application inside of the guard, for example to count requests.

    Raises:
        SettingsError: if the server cannot listen there.
    """
    listening = listening_socket(place, note)
    access = place.access(listening.getsockname()[1])
    server = _server(project, place, access, layer)
    say(access.address)  # the socket listens already, so early requests wait for a moment
    with listening, _ending_first(server):
        asyncio.run(server.serve([listening]))


@contextmanager
def running(project: Project, place: Place | None = None) -> Iterator[Access]:
    """Serve a project in another thread within a ``with`` block, for programs and tests.

    Yields:
        The access control, with the address and the one-time token.
    """
    place = place or Place(port=0)
    listening = listening_socket(place, lambda words: None)
    access = place.access(listening.getsockname()[1])
    server = _server(project, place, access)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
    thread.start()
    try:
        yield access
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
