"""The queue of items that wait for a worker; new items are drawn from an iterator one at a time."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Task:
    """An item, and the history of its attempts.

    Args:
        number: number of the item, from 0.
        item: the item.
        problems: number of times that it could not be done.
        blame: number of workers that died while working on it.
        again: whether it was given to a worker before.
        not_before: earliest time at which it may be given to a worker, in seconds on the clock of the dispatcher.
    """

    number: int
    item: Any
    problems: int = 0
    blame: int = 0
    again: bool = False
    not_before: float = 0.0


class Waiting:
    """The queue of tasks: first those of dead workers, then new ones, and finally those that are retried.

    Args:
        items: the items, in order.
        count: number of items.
    """

    def __init__(self, items: Iterable[Any], count: int) -> None:
        self._items, self._count, self._given = iter(items), count, 0
        self._first: deque[Task] = deque()
        self._last: deque[Task] = deque()

    def __len__(self) -> int:
        """Return the number of waiting tasks."""
        return len(self._first) + self._count - self._given + len(self._last)

    def put_first(self, task: Task) -> None:
        """Put a task at the front of the queue."""
        self._first.appendleft(task)

    def put_last(self, task: Task) -> None:
        """Put a task at the end of the queue."""
        self._last.append(task)

    def take(self, size: int, now: float) -> list[Task]:
        """Remove and return at most ``size`` tasks that may be given to a worker at the time ``now``, in order.

        A task that a worker died of is given alone.
        """
        bundle = _of(self._first, [], size, now)
        while len(bundle) < size and not _is_alone(bundle) and self._given < self._count:
            bundle.append(Task(self._given, next(self._items)))
            self._given += 1
        return _of(self._last, bundle, size, now)


def _is_alone(bundle: list[Task]) -> bool:
    return bool(bundle and bundle[0].blame)


def _of(tasks: deque[Task], bundle: list[Task], size: int, now: float) -> list[Task]:
    """Move tasks into a bundle; tasks that cannot be given now go behind those not yet examined, in order."""
    for _ in range(len(tasks)):
        if len(bundle) == size or _is_alone(bundle):
            break
        task = tasks[0]
        if task.not_before > now or (task.blame and bundle):
            tasks.rotate(-1)
        else:
            bundle.append(tasks.popleft())
    return bundle
