"""Compute in several processes of this computer, with the results in the order of the work."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import ModuleType
from typing import TypeVar

from promise_seg.processes import interrupts_blocked

Job = TypeVar("Job")
Found = TypeVar("Found")

_AHEAD = 3  # jobs for each process, at most, that are under way or whose results wait
_starting = threading.Lock()


class Workers:
    """Processes that compute for this one; one process alone is this one.

    They do not run the script of the user again, as processes that Python starts otherwise do: while one is started, no
    thread of this process finds the classes of that script. Ctrl-C does not reach them. They end with the block that
    this is the context manager of, and with this process, also if it is killed.

    Args:
        count: of the processes.
    """

    def __init__(self, count: int) -> None:
        may_start = not multiprocessing.current_process().daemon  # which Python does not let start others
        self._count = count if may_start else 1
        self._executor: ProcessPoolExecutor | None = None

    def mapped(self, work: Callable[[Job], Found], jobs: Iterable[Job]) -> Iterator[tuple[Job, Found]]:
        """Yield each job with its result, in their order, while the next few are done.

        What a process could not do, as it was killed or could not be started, this one does.

        Args:
            work: a function of a module, which raises the same here and there.
            jobs: what it is called with.
        """
        waiting = deque[tuple[Job, Future[Found] | None]]()
        most = self._count * _AHEAD if self._count > 1 else 0
        for job in jobs:
            waiting.append((job, self._begun(work, job)))
            if len(waiting) > most:
                yield _done(work, *waiting.popleft())
        while waiting:
            yield _done(work, *waiting.popleft())

    def _begun(self, work: Callable[[Job], Found], job: Job) -> Future[Found] | None:
        if self._count < 2:
            return None
        try:
            with interrupts_blocked(), _without_main_module():
                if self._executor is None:
                    context = multiprocessing.get_context("spawn")
                    self._executor = ProcessPoolExecutor(self._count, context, initializer=_end_with_parent)
                return self._executor.submit(work, job)
        except (BrokenProcessPool, NotImplementedError, OSError, RuntimeError):  # killed, or the system has no more
            return None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


def _done(work: Callable[[Job], Found], job: Job, future: Future[Found] | None) -> tuple[Job, Found]:
    if future is not None:
        try:
            return job, future.result()
        except BrokenProcessPool:
            pass
    return job, work(job)


def _end_with_parent() -> None:
    """End this process when the one that started it does, even if that is killed and can tell nothing."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    if sys.platform == "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Let processes that are started in the block not import the script that runs in this one."""
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
