"""Hooks that report the progress of work to listeners; without listeners they have almost no overhead."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any

from promise_seg.monitoring.tracing import Span, start_span
from promise_seg.vocabulary import ItemOutcome, WorkStep

_NOTHING: AbstractContextManager[None] = nullcontext()
_LOG = logging.getLogger(__name__)
_listeners: tuple["Listener", ...] = ()  # a listener may be registered repeatedly, but is called once
_failed = set[str]()
"""Class names of the listeners of which an error was logged."""


class Listener:
    """Base class of listeners to the work of this process. Methods may be called from any thread.

    Errors in listeners do not stop the work; they are logged once per class.
    """

    def item_ended(
        self, work: str, item: str, outcome: ItemOutcome, seconds: float | None, problem: BaseException | None
    ) -> None:
        """Handle the outcome of an item; see :func:`item_ended`."""

    def step_ended(self, name: WorkStep, seconds: float) -> None:
        """Handle the end of a step of the work on an item."""

    def progressed(self, stage: str, done: int, total: int) -> None:
        """Handle the progress of a stage."""

    def happened(self, event: str, facts: dict[str, Any]) -> None:
        """Handle any other event."""


@contextmanager
def listening(*listeners: Listener) -> Iterator[None]:
    """Add listeners to the events of all threads of this process, until the block is left."""
    global _listeners
    _listeners = (*_listeners, *listeners)
    try:
        yield
    finally:
        left = list(_listeners)
        for one in listeners:
            del left[next(place for place, other in enumerate(left) if other is one)]
        _listeners = tuple(left)


@contextmanager
def only_listening(listener: Listener) -> Iterator[None]:
    """Replace all listeners of this process by one, until the block is left."""
    global _listeners
    before, _listeners = _listeners, (listener,)
    try:
        yield
    finally:
        _listeners = before


def _tell(call: Callable[[Listener], object]) -> None:
    """Call each listener; errors in listeners do not stop the work."""
    for one in {id(one): one for one in _listeners}.values():
        try:
            call(one)
        except Exception as error:
            name = type(one).__qualname__
            if name not in _failed:
                _failed.add(name)
                _LOG.warning("%s failed, which ends nothing: %s: %s", name, type(error).__name__, error)


def item_ended(
    work: str,
    item: str,
    outcome: ItemOutcome,
    seconds: float | None = None,
    problem: BaseException | None = None,
) -> None:
    """Report the outcome of an item.

    Args:
        work: kind of work, such as ``predict``.
        item: name of the item, the same in all processes.
        outcome: outcome of the item.
        seconds: seconds since the item began to be read, if known.
        problem: why the item failed, if it did.
    """
    _tell(lambda one: one.item_ended(work, item, outcome, seconds, problem))


def step_ended(name: WorkStep, seconds: float) -> None:
    """Report how long a step of the work on an item took; see :func:`step`."""
    _tell(lambda one: one.step_ended(name, seconds))


def happened(event: str, **facts: Any) -> None:
    """Report an event that does not concern a single item; ``facts`` are JSON values."""
    _tell(lambda one: one.happened(event, facts))


def progressed(stage: str, done: int, total: int, note: str = "") -> None:
    """Report the progress of a stage; can be passed as any ``progress`` argument."""
    del note
    _tell(lambda one: one.progressed(stage, done, total))


def step(name: WorkStep, item: str = "") -> AbstractContextManager[object]:
    """Return a context manager that times a step of the work on an item; the item's name may be left out."""
    span = start_span(name, item)
    return _NOTHING if span is None and not _listeners else _Step(name, span)


class _Step:
    """A context manager that times one step."""

    __slots__ = ("_name", "_span", "_started")

    def __init__(self, name: WorkStep, span: Span | None) -> None:
        self._name, self._span = name, span

    def __enter__(self) -> None:
        self._started = time.perf_counter()
        if self._span is not None:
            self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._started
        if self._span is not None:
            self._span.__exit__(kind, error, trace)
        step_ended(self._name, seconds)
