"""The places where work says how it goes, and who listens to it; without listeners they cost next to nothing."""

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
_listeners: tuple["Listener", ...] = ()  # one as often as it was made to listen; it is told once
_failed = set[str]()
"""The listeners of which an error was logged, by their classes."""


class Listener:
    """A listener to the work of this process; its methods are called from any thread.

    Their errors end nothing, and are logged once.
    """

    def item_ended(
        self, work: str, item: str, outcome: ItemOutcome, seconds: float | None, problem: BaseException | None
    ) -> None:
        """Take note of what became of an item; see :func:`item_ended`."""

    def step_ended(self, name: WorkStep, seconds: float) -> None:
        """Take note of how long a step of the work on some item took."""

    def progressed(self, stage: str, done: int, total: int) -> None:
        """Take note of the progress of a stage."""

    def happened(self, event: str, facts: dict[str, Any]) -> None:
        """Take note of anything else."""


@contextmanager
def listening(*listeners: Listener) -> Iterator[None]:
    """Tell these listeners too what happens in this process, in all threads, until the block is left."""
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
    """Tell this listener alone what happens in this process until the block is left."""
    global _listeners
    before, _listeners = _listeners, (listener,)
    try:
        yield
    finally:
        _listeners = before


def _tell(call: Callable[[Listener], object]) -> None:
    """Tell each listener; the work goes on whatever is wrong with one of them."""
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
    """Say what became of an item.

    Args:
        work: such as ``predict``.
        item: its name, the same in all processes.
        outcome: of it.
        seconds: since its reading was begun.
        problem: why it failed.
    """
    _tell(lambda one: one.item_ended(work, item, outcome, seconds, problem))


def step_ended(name: WorkStep, seconds: float) -> None:
    """Say how long a step of the work on some item took; see :func:`step`."""
    _tell(lambda one: one.step_ended(name, seconds))


def happened(event: str, **facts: Any) -> None:
    """Say that something happened that is about no single item; ``facts`` are values of JSON."""
    _tell(lambda one: one.happened(event, facts))


def progressed(stage: str, done: int, total: int, note: str = "") -> None:
    """Say how far a stage is; it can be passed wherever a ``progress`` is taken."""
    del note
    _tell(lambda one: one.progressed(stage, done, total))


def step(name: WorkStep, item: str = "") -> AbstractContextManager[object]:
    """Return a context around a step of the work on an item; its name may be unknown there."""
    span = start_span(name, item)
    return _NOTHING if span is None and not _listeners else _Step(name, span)


class _Step:
    """A step that is measured."""

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
