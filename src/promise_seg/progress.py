"""How work that takes a while says how far it is: one protocol for all rooms, whatever shows it."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """A function that is told how far a stage of the work is.

    A stage may be told again with a larger ``done``, stages may follow each other, and a stage that was finished may
    begin anew. Whatever this returns is ignored.
    """

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> object:
        """Take notice.

        Args:
            stage: what is being done, such as ``encoding``.
            done: how much of it is done.
            total: how much there is of it.
            note: a few words on how it goes, such as the best score so far.
        """


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Show nothing: the progress of those who do not ask for any."""


class Stage:
    """One stage of the work, counted: call it after each of its ``total`` steps."""

    def __init__(self, progress: Progress, name: str, total: int, note: str = "") -> None:
        self._progress, self._name, self._total, self._note, self._done = progress, name, total, note, 0

    def __call__(self, note: str | None = None) -> None:
        """Count one step; ``note`` stands in for that of the stage."""
        self._done += 1
        self._progress(self._name, self._done, self._total, self._note if note is None else note)


def counted(items: Sequence[Item], progress: Progress, stage: str, note: str = "") -> Iterator[Item]:
    """Yield the items, and tell of each when the loop over them comes back for the next."""
    count = Stage(progress, stage, len(items), note)
    for item in items:
        yield item
        count()


def renamed(progress: Progress, name: str) -> Progress:
    """The same progress for a part of larger work, in which every stage of the part has this one name."""

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        progress(name, done, total, note)

    return report
