"""The words between the process that gives out work and the workers of a cluster that do it."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from promise_seg.errors import PromiseError, first_line
from promise_seg.holders import Holder
from promise_seg.monitoring.relayed import Heard, heard
from promise_seg.processes import most_memory


@dataclass(frozen=True)
class WorkReport:
    """The outcome of a few items.

    Args:
        done: how many were done.
        already_there: how many were done before, or by somebody else meanwhile.
        problems: why items could not be done, by their positions among those that were given.
        claimed: who is at work on items that were left alone, by their positions.
        notes: what a user should know, a line each.
        heard: what was said of the items, for the listeners of the process that gives out the work.
        memory_bytes: the most that the worker had in use so far; ``None`` if its system does not tell.
    """

    done: int = 0
    already_there: int = 0
    problems: dict[int, str] = field(default_factory=dict)
    claimed: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Opened:
    """The words of a worker that is ready.

    Args:
        facts: what must be the same in all workers, such as the hash of the SAM.
        process: the worker, as its claims name it.
        notes: what a user should know of what it loaded.
    """

    facts: dict[str, str]
    process: Holder
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """The error that stopped a worker in the middle of its items.

    Args:
        words: the error in one line.
        is_bug: whether it is none of those that a user can do something about.
    """

    words: str
    is_bug: bool


class Work(Protocol):
    """The state of a worker: the model, which is loaded once, and what else it needs for every item."""

    facts: dict[str, str]
    notes: tuple[str, ...]

    def do(self, items: Sequence[Any], again: bool) -> WorkReport:
        """Do a few items.

        Args:
            items: to be done.
            again: whether others may have done some of them since they were listed.

        Raises:
            PromiseError: if results cannot be written.
        """


class Job(Protocol):
    """The orders that are sent to each worker, in names and plain values: how the work is opened there."""

    def open(self) -> Work:
        """Load what is needed.

        Raises:
            PromiseError: if that is not possible on that computer.
        """


class Desk(Protocol):
    """The part of the process that gives out work, before the first item and for items whose workers cannot."""

    def begin(self) -> None:
        """Note that the work begins, as the first worker is ready.

        Raises:
            PromiseError: if it may not begin.
        """

    work: str
    """The name of the work in logs."""

    def name(self, item: Any) -> str:
        """Return the name of an item in logs."""

    def free(self, item: Any, process: Holder) -> None:
        """End the claim that a dead worker had on an item."""

    def fail(self, item: Any, reason: str) -> str:
        """Note that an item is given up, and return the line on it for the user."""


@dataclass(frozen=True)
class Place:
    """The folders that a worker must see as the process does that gives out the work.

    Args:
        folder: where that process is, from which names are relative.
        mark: a file that it wrote where results are written; empty if that is no folder.
        content: of the mark.
        first: files of the first item, as a sample of all.
    """

    folder: str
    mark: str
    content: str
    first: tuple[str, ...] = ()

    def enter(self) -> None:
        """Go there.

        Raises:
            PromiseError: if this computer does not see the same files.
        """
        with suppress(OSError):
            os.chdir(self.folder)
        mark = Path(self.mark)
        try:
            is_same = not self.mark or mark.read_text(encoding="utf-8") == self.content
        except (OSError, ValueError):
            is_same = False
        if not is_same:
            raise PromiseError(
                f"{mark.parent}: is another folder here, or none. Give a folder on a file system that all computers of "
                "the cluster share, mounted at the same place"
            )
        for name in self.first:
            if not Path(name).exists():
                raise PromiseError(
                    f"{name}: is not here. The files that are read must be on a file system that all computers of the "
                    "cluster share, mounted at the same place"
                )


class Shell:
    """A worker process, around the work: errors become answers, so that none has to travel as an exception."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._work: Work | None = None

    def open(self) -> Opened | Trouble:
        """Load the model, or whatever the work needs."""
        try:
            self._work = self._job.open()
        except PromiseError as error:
            return Trouble(str(error), is_bug=False)
        except Exception as error:
            return _bug(error)
        return Opened(self._work.facts, Holder.this_process(), self._work.notes)

    def do(self, items: Sequence[Any], again: bool) -> WorkReport | Trouble:
        """Do a few items."""
        if self._work is None:
            return Trouble("the worker has not loaded what it needs", is_bug=True)
        try:
            with heard() as said:
                return replace(self._work.do(items, again), heard=said, memory_bytes=most_memory())
        except PromiseError as error:
            return Trouble(str(error), is_bug=False)
        except Exception as error:
            return _bug(error)


def _bug(error: Exception) -> Trouble:
    return Trouble(f"{type(error).__name__} on {socket.gethostname()}: {first_line(error)}", is_bug=True)
