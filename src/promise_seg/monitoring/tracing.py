"""Spans for OpenTelemetry, if the program around this package, or ``opentelemetry-instrument``, has set it up."""

import sys
from contextlib import AbstractContextManager
from typing import Any

Span = AbstractContextManager[Any]
_API = "opentelemetry.trace"
_NAME = "promise_seg"


def start_span(name: str, item: str = "") -> Span | None:
    """Return a span around a step of the work; ``None`` if nobody collects spans.

    The library of OpenTelemetry is not imported here: whoever collects spans has imported it before.
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
