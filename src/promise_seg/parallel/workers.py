"""Computation in several processes of this computer, with the results in the order of the jobs."""

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

_AHEAD = 3  # maximum number of jobs per process that are running or whose results wait
_starting = threading.Lock()


class Workers:
    """Worker processes that compute for this process; with a count of 1, this process computes itself.

    The workers do not run the user's script again, as processes started by Python usually do; while one is started, no
    thread of this process finds the classes of that script. Ctrl-C does not reach the workers. Use this class as a
    context manager: workers end with the block, and with this process, even if it is killed. If the block ends with
    an exception, they are killed; so they must not write files.

    Args:
        count: number of processes.
    """

    def __init__(self, count: int) -> None:
        may_start = not multiprocessing.current_process().daemon  # daemons may not start processes in Python
        self._count = count if may_start else 1
        self._executor: ProcessPoolExecutor | None = None

    def mapped(self, work: Callable[[Job], Found], jobs: Iterable[Job]) -> Iterator[tuple[Job, Found]]:
        """Yield each job with its result, in order, while the next few are computed.

        Jobs of a worker that was killed or could not be started are computed in this process.

        Args:
            work: function at module level that computes the result of a job; its errors are raised in this process.
            jobs: arguments of ``work``.
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

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self._executor is None:
            return
        if kind is not None:  # such as Ctrl-C: no result is needed any more, and the executor has passed on some jobs
            for process in list((self._executor._processes or {}).values()):
                process.kill()  # SIGTERM may be blocked in this process, and so in its workers
        self._executor.shutdown(cancel_futures=True)


def _done(work: Callable[[Job], Found], job: Job, future: Future[Found] | None) -> tuple[Job, Found]:
    if future is not None:
        try:
            return job, future.result()
        except BrokenProcessPool:
            pass
    return job, work(job)


def _end_with_parent() -> None:
    """End this process when its parent process ends, even if the parent is killed."""
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
    """Keep processes that are started in the block from importing the script that runs in this process."""
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
