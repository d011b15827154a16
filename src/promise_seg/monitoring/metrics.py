"""Prometheus metrics of this process: counts, times and progress, without names of images."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from promise_seg._version import __version__
from promise_seg.errors import SettingsError
from promise_seg.monitoring.hooks import Listener
from promise_seg.vocabulary import ItemOutcome, WorkStep

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

LOCAL = "127.0.0.1"
_LIBRARY = "prometheus_client"
_HIGHEST_PORT = 65535
_POLL_SECONDS = 0.02  # between two checks of whether the server is to stop, which the command waits for
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LEARNING = {"epoch": "The last epoch that was trained.", "val_dice": "The Dice on val rows after it."}


def has_metrics() -> bool:
    """Whether the library for metrics is installed."""
    return find_spec(_LIBRARY) is not None


def check_has_metrics(option: str) -> None:
    """Check that the optional library for metrics is installed.

    Raises:
        SettingsError: if it is not, with the command that installs it.
    """
    if not has_metrics():
        raise SettingsError(
            f"{option}: needs prometheus-client, which is not installed: pip install 'promise-seg[monitoring]'"
        )


def check_metrics_host(port: int | None, host: str) -> None:
    """Check that a host for metrics comes with a port.

    Raises:
        SettingsError: if a host other than the default is given without a port.
    """
    if port is None and host != LOCAL:
        raise SettingsError(f"--metrics-host {host}: needs --metrics PORT")


class Metrics(Listener):
    """A listener that updates metrics in a Prometheus registry.

    Args:
        registry: registry that the metrics are added to.
        run: identifier of the run.
    """

    def __init__(self, registry: "CollectorRegistry", run: str) -> None:
        from prometheus_client import Counter, Gauge, Histogram, Info, ProcessCollector

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"promise_seg_{name}", about, labels, registry=registry)

        ProcessCollector(registry=registry)
        Info("promise_seg", "The version and the run.", registry=registry).info({"version": __version__, "run": run})
        self._items = Counter(
            "promise_seg_items", "Items of the work, by what became of them.", ("work", "outcome"), registry=registry
        )
        self._item_seconds = Histogram(
            "promise_seg_item_seconds", "From reading an item to writing its result.", ("work",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._step_seconds = Histogram(
            "promise_seg_step_seconds", "Steps of the work on items.", ("step",), buckets=_SECONDS, registry=registry
        )
        self._done = gauge("stage_done", "How much of a stage of the work is done.", "stage")
        self._total = gauge("stage_total", "How much there is of it.", "stage")
        self._learning = {name: gauge(f"train_{name}", about, "class") for name, about in _LEARNING.items()}

    def item_ended(
        self, work: str, item: str, outcome: ItemOutcome, seconds: float | None, problem: BaseException | None
    ) -> None:
        """Count an item, and record its time if it is done."""
        self._items.labels(work, str(outcome)).inc()
        if seconds is not None and outcome == ItemOutcome.DONE:
            self._item_seconds.labels(work).observe(seconds)

    def step_ended(self, name: WorkStep, seconds: float) -> None:
        """Record the time of a step."""
        self._step_seconds.labels(str(name)).observe(seconds)

    def progressed(self, stage: str, done: int, total: int) -> None:
        """Set the progress of a stage."""
        self._done.labels(stage).set(done)
        self._total.labels(stage).set(total)

    def happened(self, event: str, facts: dict[str, Any]) -> None:
        """Set the metrics of an epoch of training."""
        for name, gauge in self._learning.items():
            if isinstance(value := facts.get(name), int | float):
                gauge.labels(str(facts.get("class", ""))).set(value)


@contextmanager
def served_metrics(port: int, host: str, run: str) -> Iterator[tuple[Metrics, str]]:
    """Serve metrics over HTTP until the block is left; yield the listener and the address.

    Args:
        port, host: see :func:`served_registry`.
        run: identifier of the run.

    Raises:
        SettingsError: if the library is not installed, or the port cannot be used.
    """
    with served_registry(port, host) as (registry, address):
        yield Metrics(registry, run), address


@contextmanager
def served_registry(port: int, host: str) -> Iterator[tuple["CollectorRegistry", str]]:
    """Serve an initially empty registry over HTTP until the block is left; yield the registry and the address.

    Args:
        port: port to listen on; 0 for any free port.
        host: address of this computer to listen on; there is no password.

    Raises:
        SettingsError: if the library is not installed, or the port cannot be used.
    """
    check_has_metrics(f"--metrics {port}")
    from prometheus_client import CollectorRegistry

    if not 0 <= port <= _HIGHEST_PORT:
        raise SettingsError(f"--metrics {port}: expected a port from 0 to {_HIGHEST_PORT}; 0 is any free one")
    registry = CollectorRegistry()
    try:
        server = _server(registry, port, host)
    except UnicodeError as error:
        raise SettingsError(f"--metrics-host {host}: cannot be the name of a computer: {error}") from error
    except OSError as error:
        raise SettingsError(
            f"--metrics {port}: cannot listen at {host}: {error.strerror}. Choose another port, or 0 for any free one"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        yield registry, f"http://{shown}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(registry: "CollectorRegistry", port: int, host: str) -> WSGIServer:
    """Return a server that answers each request in a separate thread and prints nothing."""
    from prometheus_client import make_wsgi_app

    class Server(ThreadingMixIn, WSGIServer):
        address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        daemon_threads = True

    return make_server(host, port, make_wsgi_app(registry), Server, _Silent)


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""
