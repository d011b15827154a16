"""OpenTelemetry spans, if the calling program or ``opentelemetry-instrument`` has set up OpenTelemetry."""

import sys
from contextlib import AbstractContextManager
from typing import Any

Span = AbstractContextManager[Any]
_API = "opentelemetry.trace"
_NAME = "promise_seg"


def start_span(name: str, item: str = "") -> Span | None:
    """Return a span for a step of the work; ``None`` if no spans are collected.

    OpenTelemetry is not imported here, because a program that collects spans has imported it already.
    """
    api: Any = sys.modules.get(_API)
    if api is None:
        return None
    provider = api.get_tracer_provider()
    if isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider):
        return None
    found: Span = provider.get_tracer(_NAME).start_as_current_span(
        f"promise_seg.{name}", attributes={"promise_seg.item": item} if item else None
    )
    return found
