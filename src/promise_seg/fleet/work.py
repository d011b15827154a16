"""The messages and interfaces between the process that dispatches work and the workers of a cluster."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from promise_seg.errors import PromiseError, first_line
from promise_seg.monitoring.relayed import Heard, heard
from promise_seg.processes import most_memory
from promise_seg.storage.holders import Holder


@dataclass(frozen=True)
class WorkReport:
    """The outcome of a bundle of items.

    Args:
        done: number of items that were done.
        already_there: number of items that were done before, or meanwhile by another process.
        problems: maps the position of each item in the bundle that could not be done to the reason.
        claimed: maps the position of each item that was skipped to the process that has claimed it.
        notes: notes for the user, one line each.
        common_notes: notes for the user that hold for the whole run only if every bundle has them; ``None`` if the
            bundle cannot tell.
        heard: recorded events of the items, for the listeners of the dispatching process.
        memory_bytes: peak memory of the worker so far; ``None`` if its system does not report it.
    """

    done: int = 0
    already_there: int = 0
    problems: dict[int, str] = field(default_factory=dict)
    claimed: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    common_notes: frozenset[str] | None = None
    heard: Heard = field(default_factory=Heard)
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Opened:
    """The message of a worker that is ready.

    Args:
        facts: properties that must be the same in all workers, such as the hash of the SAM.
        process: identity of the worker process, as its claims name it.
        notes: notes for the user about the model and files that it loaded.
    """

    facts: dict[str, str]
    process: Holder
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """The error that stopped a worker in the middle of its items.

    Args:
        words: the error in one line.
        is_bug: whether it is an unexpected error, which the user cannot fix.
    """

    words: str
    is_bug: bool


class Work(Protocol):
    """The state of a worker: the model, which is loaded once, and everything else that it needs for every item."""

    facts: dict[str, str]
    notes: tuple[str, ...]

    def do(self, items: Sequence[Any], again: bool) -> WorkReport:
        """Process a bundle of items.

        Args:
            items: the items to process.
            again: whether other workers may have done some of them since they were listed.

        Raises:
            PromiseError: if results cannot be written.
        """


class Job(Protocol):
    """The description of the work that is sent to each worker, as names and plain values."""

    def open(self) -> Work:
        """Load everything that the work needs.

        Raises:
            PromiseError: if this is not possible on the worker's computer.
        """


class Desk(Protocol):
    """Callbacks of the dispatching process: before the first item, and for items that their workers cannot finish."""

    def begin(self) -> None:
        """Record that the work begins; called when the first worker is ready.

        Raises:
            PromiseError: if the work may not begin.
        """

    work: str
    """The name of the work in logs."""

    def name(self, item: Any) -> str:
        """Return the name of an item in logs."""

    def free(self, item: Any, process: Holder) -> None:
        """Release the claim of a dead worker on an item."""

    def fail(self, item: Any, reason: str) -> str:
        """Record that an item is given up, and return a line about it for the user."""


@dataclass(frozen=True)
class SharedFolders:
    """The folders that a worker must share with the dispatching process.

    Args:
        folder: working directory of the dispatching process, which relative paths start from.
        mark: path of a file that it wrote in the output folder; empty if the output is not a folder.
        content: content of the mark.
        first: files of the first item, as a sample of all files.
    """

    folder: str
    mark: str
    content: str
    first: tuple[str, ...] = ()

    def enter(self) -> None:
        """Change to the folder, and check that this computer sees the same files.

        Raises:
            PromiseError: if it does not.
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
                f"{mark.parent}: is a different folder on this computer, or does not exist; expected the folder of "
                "the other computers. Give a folder on a file system that all computers of the cluster mount at the "
                "same path"
            )
        for name in self.first:
            if not Path(name).exists():
                raise PromiseError(
                    f"{name}: does not exist on this computer. Put the files on a file system that all computers of "
                    "the cluster mount at the same path"
                )


class Shell:
    """A worker process: runs the work, and returns errors as messages, so that no exception has to be transferred."""

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
        """Process a bundle of items; see :meth:`Work.do`."""
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
