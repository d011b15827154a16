"""Run the server: find a port, report the address, and serve until the server is stopped."""

import asyncio
import errno
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import uvicorn

from promise_seg.annotator.access import Access, url_host
from promise_seg.annotator.app import create_app
from promise_seg.annotator.bodies import LARGEST_BODY
from promise_seg.annotator.connections import PatientConnection
from promise_seg.annotator.metrics import Layer
from promise_seg.annotator.project import Project
from promise_seg.errors import SettingsError

DEFAULT_PORT = 8765
LOCAL = "127.0.0.1"
_ALL_ADDRESSES = {"0.0.0.0": (socket.AF_INET,), "::": (socket.AF_INET, socket.AF_INET6)}
"""The hosts that stand for all addresses of this computer, with the address families that can then connect."""
_TRIES = 100
"""The number of consecutive ports that are tried."""
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
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(self.certificate, self.key, password="")  # do not ask for one on the terminal
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
    def hosts(self) -> tuple[str, ...]:
        """The hosts of the printed addresses, as in URLs: the given one, or the name and addresses of this computer."""
        if self.host not in _ALL_ADDRESSES:
            return (url_host(self.host),)
        return (socket.gethostname(), *map(url_host, _network_addresses(_ALL_ADDRESSES[self.host])))

    def access(self, port: int) -> Access:
        """Return the access control of a server that listens at this port."""
        return Access(port, self.hosts, self.is_secure)


def _network_addresses(families: tuple[socket.AddressFamily, ...]) -> list[str]:
    """Return the IP address of each family from which this computer reaches others; families without one are left out.

    This computer's name is not asked for, because it often resolves to a loopback address. To connect a UDP socket
    only chooses the local address: nothing is sent. The remote addresses are reserved for documentation.
    """
    found = []
    for family in families:
        remote = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((remote, 9))
            found.append(str(probe.getsockname()[0]))
    return found


def check_host(place: Place) -> None:
    """Check that the host is an address of this computer, before long work; whether the port is free is not checked.

    Raises:
        SettingsError: if there is no such host, or it is another computer.
    """
    listening_socket(replace(place, port=0), lambda words: None).close()


def listening_socket(place: Place, note: Callable[[str], object]) -> socket.socket:
    """Return a socket that listens at the given port, or at the next free port with a note.

    Raises:
        SettingsError: if there is no such host, or no free port.
    """
    last: OSError | None = None
    for port in [0] if place.port == 0 else range(place.port, min(place.port + _TRIES, 2**16)):
        try:
            family, _, _, _, address = socket.getaddrinfo(
                place.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listening = socket.socket(family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError for a name that no host can have
            raise _not_ours(place, error) from error
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(socket.SOMAXCONN)
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRNOTAVAIL:
                raise _not_ours(place, error) from error
            last = error
            continue
        if port != place.port:
            note(f"port {place.port} is in use; listening on {port}")
        return listening
    reason = "" if last is None else f": {last.strerror}"
    raise SettingsError(f"--port {place.port}: no port from there on is free at {place.host}{reason}. Choose another")


def _not_ours(place: Place, error: OSError | UnicodeError) -> SettingsError:
    reason = getattr(error, "strerror", None) or str(error)
    return SettingsError(
        f"--host {place.host}: is not an address of this computer: {reason}. Give one of its own, or 0.0.0.0 for all"
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
    say: Callable[[tuple[str, ...], bool], object],
    note: Callable[[str], object],
    layer: Layer = lambda app: app,
) -> None:
    """Serve a project until a signal arrives; the signal is raised again after the server has ended.

    Args:
        project: the project, inside of its ``with`` statement.
        place: the address at which to listen.
        say: called with the one-time address under each host and ``False`` as soon as the server can be reached, and
            with the fresh addresses and ``True`` after each use, in another thread; never twice at the same time.
        note: called with a sentence if another port is used.
        layer: wraps the application inside of the guard, for example to count requests.

    Raises:
        SettingsError: if the server cannot listen there.
    """
    listening = listening_socket(place, note)
    access = place.access(listening.getsockname()[1])
    server = _server(project, place, access, layer)
    speaking = threading.Lock()

    def say_fresh() -> None:
        with speaking, suppress(OSError):  # the terminal may be gone
            say(access.addresses, True)

    # A terminal that is halted, as by Ctrl-S, must not halt the server.
    access.on_use = lambda: threading.Thread(target=say_fresh, daemon=True).start()
    with speaking:
        say(access.addresses, False)  # the socket listens already, so early requests wait for a moment
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
