"""Reading ahead and writing behind in a background thread while this one computes, in order and with bounded queues."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar
from weakref import WeakSet

Item = TypeVar("Item")
Found = TypeVar("Found")

DEPTH = 2
"""The maximum number of items that are read ahead, and of tasks that wait to be written."""


_helpers: "WeakSet[Helper]" = WeakSet()


def cancel_reading() -> None:
    """Cancel all reading in this process that has not begun, because the process is about to end.

    Otherwise Python would finish it at its end for loops that were left without being closed, as after Ctrl-C in a loop
    over a generator.
    """
    for helper in list(_helpers):
        helper.cancel_reading()


class Helper:
    """A background thread that reads ahead and writes behind, one task after the other, in the order of submission.

    Use it as a context manager: at its end, all writing that was submitted is finished, and reading that has not begun
    is cancelled, also if an exception or Ctrl-C ends the block. Once a writing task has failed, later ones are skipped.

    There is only one thread because libraries that read and write files change the state of the process, such as its
    warning filters.

    Args:
        depth: maximum number of items that are read ahead, and of tasks that wait to be written.
    """

    def __init__(self, depth: int = DEPTH) -> None:
        self._depth = depth
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="promise-seg helper")
        self._reading: set[Future[Any]] = set()
        self._writing: deque[Future[None]] = deque()
        self._failed: BaseException | None = None
        _helpers.add(self)

    def ahead(self, items: Iterable[Item], read: Callable[[Item], Found]) -> Iterator[tuple[Item, Callable[[], Found]]]:
        """Yield the items in order, each with a function that returns the result of reading it or raises its error.

        Args:
            items: items to read.
            read: function that reads an item; it is called in the background, ahead of the loop.
        """
        waiting: deque[tuple[Item, Future[Found]]] = deque()
        try:
            for item in items:
                future = self._executor.submit(read, item)
                self._reading.add(future)
                waiting.append((item, future))
                if len(waiting) > self._depth:
                    yield self._next(waiting)
            while waiting:
                yield self._next(waiting)
        finally:
            for _, future in waiting:
                future.cancel()

    def _next(self, waiting: deque[tuple[Item, Future[Found]]]) -> tuple[Item, Callable[[], Found]]:
        item, future = waiting.popleft()
        self._reading.discard(future)
        return item, future.result

    def write(self, work: Callable[[], object]) -> None:
        """Submit a writing task; wait if too many of them are waiting already.

        Raises:
            BaseException: the error of a task that was submitted before.
        """
        while self._writing and (self._writing[0].done() or len(self._writing) >= self._depth):
            self._writing.popleft().result()
        self._writing.append(self._executor.submit(self._write, work))

    def wait(self) -> None:
        """Wait until all writing is done.

        Raises:
            BaseException: the error of the first task that failed.
        """
        while self._writing:
            self._writing.popleft().result()

    def cancel_reading(self) -> None:
        """Cancel all reading that has not begun."""
        for future in list(self._reading):
            future.cancel()

    def _write(self, work: Callable[[], object]) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            work()
        except BaseException as error:
            self._failed = error
            raise

    def __enter__(self) -> "Helper":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.cancel_reading()
        try:
            if error is None:
                self.wait()
        finally:
            self._executor.shutdown()
