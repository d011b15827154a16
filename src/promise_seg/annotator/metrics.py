"""Metrics of the annotator for Prometheus, behind the same guard as everything else: counts, and no names."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promise_seg.annotator.project import Project
from promise_seg.annotator.refusals import Refusal
from promise_seg.monitoring.metrics import has_metrics

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

PATH = "/metrics"
_NOT_INSTALLED = (
    "Metrics need prometheus-client: pip install 'promise-seg[monitoring]', and start promise annotate again"
)
_OTHER = "other"


def with_metrics(app: FastAPI, project: Project) -> ASGIApp:
    """Return an app that counts its requests, and tells of them and of the project's images at ``/metrics``.

    Where the library for metrics is not installed, it says so there, and counts nothing.
    """
    if not has_metrics():

        @app.get(PATH, include_in_schema=False)
        def refused() -> Response:
            raise Refusal(404, "unknown", _NOT_INSTALLED)

        return app
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, ProcessCollector, generate_latest

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Images(project))  # type: ignore[arg-type, unused-ignore]
    seconds = Histogram(
        "promise_seg_annotator_request_seconds", "Requests by route, method and status.",
        ("route", "method", "status"), registry=registry,
    )  # fmt: skip

    @app.get(PATH, include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

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
            # Not the address but its pattern, so that there are as many routes as in the program.
            route = getattr(scope.get("route"), "path", _OTHER)
            seconds.labels(route, scope["method"], status).observe(time.perf_counter() - started)

    return counting


class _Images:
    """The numbers of images by their state, counted when they are asked for."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def collect(self) -> "Iterator[GaugeMetricFamily]":
        """Yield the metric."""
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily("promise_seg_annotator_images", "Images by their state.", labels=["state"])
        for state, count in self._project.facts()["counts"].items():
            family.add_metric([state], count)
        yield family

    def describe(self) -> "Iterator[GaugeMetricFamily]":
        """Yield nothing, so that nothing is counted when this is registered."""
        yield from ()
