"""The progress of long-running work: one protocol for all packages, whatever displays it."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """A function that is called with the progress of a stage of the work.

    A stage may be reported again with a larger ``done``, stages may follow each other, and a finished stage may start
    again. The return value is ignored.
    """

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> object:
        """Report progress.

        Args:
            stage: name of the stage, such as ``encoding``.
            done: number of steps that are done.
            total: number of all steps.
            note: a short remark on the state of the work, such as the best score so far.
        """


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Ignore progress; the default."""


class Stage:
    """A counter for one stage of the work: call it after each of its ``total`` steps."""

    def __init__(self, progress: Progress, name: str, total: int, note: str = "") -> None:
        self._progress, self._name, self._total, self._note, self._done = progress, name, total, note, 0

    def __call__(self, note: str | None = None) -> None:
        """Count one step; ``note`` replaces that of the stage."""
        self._done += 1
        self._progress(self._name, self._done, self._total, self._note if note is None else note)


def counted(items: Sequence[Item], progress: Progress, stage: str, note: str = "") -> Iterator[Item]:
    """Yield the items, and report each of them as done when the loop asks for the next."""
    count = Stage(progress, stage, len(items), note)
    for item in items:
        yield item
        count()


def renamed(progress: Progress, name: str) -> Progress:
    """Return the progress for a part of larger work, with this name for every stage of the part."""

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        progress(name, done, total, note)

    return report
