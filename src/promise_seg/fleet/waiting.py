"""The items that wait to be given to workers: those that nobody has had yet are asked for one at a time."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Task:
    """An item, and what happened with it so far.

    Args:
        number: of the item.
        item: itself.
        problems: how often it could not be done.
        blame: how many workers died while they worked on it.
        again: whether it was given to a worker before.
        not_before: when it may be given to the next.
    """

    number: int
    item: Any
    problems: int = 0
    blame: int = 0
    again: bool = False
    not_before: float = 0.0


class Waiting:
    """Tasks that wait: first what dead workers had, then what nobody has had, and last what is tried once more.

    Args:
        items: in their order.
        count: how many there are.
    """

    def __init__(self, items: Iterable[Any], count: int) -> None:
        self._items, self._count, self._given = iter(items), count, 0
        self._first: deque[Task] = deque()
        self._last: deque[Task] = deque()

    def __len__(self) -> int:
        """The number of tasks that wait."""
        return len(self._first) + self._count - self._given + len(self._last)

    def put_first(self, task: Task) -> None:
        """Let a task be the next."""
        self._first.appendleft(task)

    def put_last(self, task: Task) -> None:
        """Let a task come after all others."""
        self._last.append(task)

    def take(self, size: int, now: float) -> list[Task]:
        """Return at most so many tasks that may be given to a worker now, in order.

        One that a worker died of is given alone.
        """
        bundle = _of(self._first, [], size, now)
        while len(bundle) < size and not _is_alone(bundle) and self._given < self._count:
            bundle.append(Task(self._given, next(self._items)))
            self._given += 1
        return _of(self._last, bundle, size, now)


def _is_alone(bundle: list[Task]) -> bool:
    return bool(bundle and bundle[0].blame)


def _of(tasks: deque[Task], bundle: list[Task], size: int, now: float) -> list[Task]:
    """Move tasks into a bundle; those that do not fit stay, in their order, behind those that were not looked at."""
    for _ in range(len(tasks)):
        if len(bundle) == size or _is_alone(bundle):
            break
        task = tasks[0]
        if task.not_before > now or (task.blame and bundle):
            tasks.rotate(-1)
        else:
            bundle.append(tasks.popleft())
    return bundle
