"""Metrics of the annotator for Prometheus, on a separate port: counts and durations, without any names."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promise_seg.annotator.project import Project
from promise_seg.monitoring.metrics import LOCAL, check_metrics_host, served_registry

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily

_OTHER = "other"
Layer = Callable[[ASGIApp], ASGIApp]
"""A function that wraps an ASGI application in another."""


def metrics_layer(
    project: Project, port: int | None, host: str = LOCAL, note: Callable[[str], object] = str
) -> AbstractContextManager[Layer]:
    """Serve metrics of a project within a ``with`` block, whose value is the layer that counts the server's requests.

    Args:
        project: the project; its images are counted at each request for metrics.
        port: the port for Prometheus; 0 for any free port, ``None`` for no metrics.
        host: the address of this computer at which metrics are served. There is no password.
        note: called with the address of the metrics.

    Raises:
        SettingsError: if the port cannot be used, or the library for metrics is not installed.
    """
    check_metrics_host(port, host)
    return nullcontext(lambda app: app) if port is None else _served(project, port, host, note)


def check_metrics_place(port: int | None, host: str) -> None:
    """Check that metrics can be served at a port of a host, before long work.

    Raises:
        SettingsError: if a host is given without a port, the port cannot be used, or the library for metrics is not
            installed.
    """
    check_metrics_host(port, host)
    if port is not None:
        with served_registry(port, host):
            pass


@contextmanager
def _served(project: Project, port: int, host: str, note: Callable[[str], object]) -> Iterator[Layer]:
    with served_registry(port, host) as (registry, address):
        layer = counting_in(registry, project.catalogue.states)
        note(f"metrics at {address}")
        yield layer


def counting_in(registry: "CollectorRegistry", states: Callable[[], Mapping[str, int]]) -> Layer:
    """Return a layer that counts the requests to a server in a registry, which also counts the images by state.

    Args:
        registry: an empty registry.
        states: returns the number of images in each state.
    """
    from prometheus_client import Histogram, ProcessCollector

    ProcessCollector(registry=registry)
    registry.register(_Images(states))  # type: ignore[arg-type, unused-ignore]
    seconds = Histogram(
        "promise_seg_annotator_request_seconds", "Requests by route, method and status.",
        ("route", "method", "status"), registry=registry,
    )  # fmt: skip

    def around(app: ASGIApp) -> ASGIApp:
        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            started, status = time.perf_counter(), 500

            async def sending(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, sending)
            finally:
                # The pattern of the route, not the path, so that the number of label values is limited.
                route = getattr(scope.get("route"), "path", _OTHER)
                seconds.labels(route, scope["method"], status).observe(time.perf_counter() - started)

        return counting

    return around


class _Images:
    """A collector that counts the images by state at each request for metrics."""

    def __init__(self, states: Callable[[], Mapping[str, int]]) -> None:
        self._states = states

    def collect(self) -> "Iterator[GaugeMetricFamily]":
        """Yield the metric."""
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily("promise_seg_annotator_images", "Images by their state.", labels=["state"])
        for state, count in self._states().items():
            family.add_metric([state], count)
        yield family

    def describe(self) -> "Iterator[GaugeMetricFamily]":
        """Yield nothing, so that images are not counted when the collector is registered."""
        yield from ()
