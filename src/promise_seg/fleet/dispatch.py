"""Dispatch items to workers until all are done, even if workers fail.

- Items are sent in small bundles, which take about two seconds; each worker has one bundle queued behind the current.
- The items of a dead worker are given to others. An item that several workers died of is given up, with the reason.
- A worker that cannot write is ended. A node where this, or a death, happens repeatedly gets no more work.
- An item that cannot be read is tried once more, later and by any free worker, before it counts as failed.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from promise_seg.errors import PromiseError
from promise_seg.fleet.waiting import Task, Waiting
from promise_seg.fleet.work import Desk, Opened, Trouble, WorkReport
from promise_seg.monitoring.hooks import item_ended
from promise_seg.progress import Progress, Stage, silent
from promise_seg.vocabulary import ItemOutcome

PATIENCE_SECONDS = 3600.0
"""How long a worker may take for a bundle before it counts as dead."""
_BUNDLE_SECONDS = 2.0
_LARGEST_BUNDLE = 32
_SLOW_SECONDS = 60.0  # a worker that is still not ready after this time no longer keeps others from being started
_LOOK_SECONDS = 2.0  # between two queries of the nodes
_CLAIMED_SECONDS = 2.0  # before an item that another process had claimed is given out again
_MOST_PROBLEMS = 2
_MOST_BLAME = 4
_MOST_STRIKES = 10
_MOST_REFUSALS = 3


@dataclass(frozen=True)
class Node:
    """A computer of the cluster.

    Args:
        name: name of the node, for messages.
        room: number of workers that it can hold.
    """

    name: str
    room: int


@dataclass(frozen=True)
class Died:
    """The unexpected death of a worker, with the reason in ``words``."""

    words: str


class Fleet(Protocol):
    """The interface to a cluster. Workers are identified by numbers."""

    def nodes(self) -> Mapping[str, Node]:
        """Return the nodes that are alive, keyed by identifiers that :meth:`start` accepts."""

    def start(self, node: str) -> int:
        """Start a worker on a node, let it load what it needs, and return its number."""

    def give(self, worker: int, items: Sequence[Any], again: bool) -> None:
        """Give a bundle of items to a worker; ``again`` is whether any of them was given to a worker before."""

    def wait(self, seconds: float) -> Iterable[tuple[int, Opened | WorkReport | Trouble | Died]]:
        """Return the messages of workers, waiting at most ``seconds``; for each worker in the order of its bundles."""

    def note_memory(self, most: int) -> None:
        """Record the peak memory of a worker, in bytes; other workers are expected to need as much."""

    def end(self, worker: int) -> None:
        """Kill a worker."""


@dataclass
class Outcome:
    """The outcome of a run.

    Args:
        done: number of items that were done.
        already_there: number of items that turned out to be done already.
        problems: maps the number of each item that could not be done to a line with the reason.
        notes: notes for the user, one line each.
        common_notes: notes that all bundles have which can tell; ``None`` if there is no such bundle.
        lost_workers: number of workers that died.
    """

    done: int = 0
    already_there: int = 0
    problems: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    common_notes: frozenset[str] | None = None
    lost_workers: int = 0


@dataclass
class _Worker:
    node: str
    opened: Opened | None = None
    bundles: deque[list[Task]] = field(default_factory=deque)
    since: float = 0.0  # start time of its current bundle, or of the worker itself
    item_seconds: float | None = None


class Dispatcher:
    """A run over a number of items.

    Args:
        fleet: the cluster.
        desk: callbacks for the start of the work, and for items whose workers died.
        facts: properties that all workers must share, such as the hash of the SAM, as far as they are known beforehand.
        stage: name of the work in the progress display.
        progress: called for each item.
        note: called with a line for each event that concerns workers.
        patience: maximum time that a worker may take for a bundle, in seconds.
        clock: returns the current time in seconds.
    """

    def __init__(
        self,
        fleet: Fleet,
        desk: Desk,
        facts: Mapping[str, str] | None = None,
        *,
        stage: str = "working",
        progress: Progress = silent,
        note: Callable[[str], object] = str,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet, self._desk, self._stage, self._progress = fleet, desk, stage, progress
        self._note, self._patience, self._clock = note, patience, clock
        self._facts = dict(facts or {})
        self._facts_of = "this process"
        self._queue = Waiting((), 0)
        self._workers: dict[int, _Worker] = {}
        self._nodes: Mapping[str, Node] = {}
        self._names: dict[str, str] = {}
        self._strikes: dict[str, int] = {}
        self._refusals: dict[str, int] = {}
        self._left_out: dict[str, str] = {}  # nodes that get no more work, with the reason
        self._next_look = self._alone_since = 0.0
        self._told: set[str] = set()
        self._has_opened = False
        self._has_told_of_claims = False
        self._tick = Stage(progress, stage, 0)
        self.outcome = Outcome()

    def run(self, items: Iterable[Any], count: int | None = None) -> Outcome:
        """Process all items, and return the outcome.

        Args:
            items: the items; each is drawn only when it is given to a worker.
            count: number of items; if None, the items are listed and counted first.

        Raises:
            PromiseError: if a worker has another model or other folders, or no usable node is left.
        """
        if count is None:
            items = list(items)
            count = len(items)
        self._queue = Waiting(items, count)
        self._tick = Stage(self._progress, self._stage, count)
        self._alone_since = self._clock()
        try:
            while self._queue or any(one.bundles for one in self._workers.values()):
                self._look_at_nodes()
                for number in list(self._workers):
                    self._give_to(number)
                for number, said in self._fleet.wait(1.0):
                    if number in self._workers:
                        self._hear(number, said)
                self._end_those_that_hang()
        finally:
            for number, worker in self._workers.items():
                self._fleet.end(number)
                self._free(worker)
        return self.outcome

    def _free(self, worker: _Worker) -> None:
        """Release the claims of a worker that was ended, so that no process waits for them."""
        if worker.opened is not None:
            for task in itertools.chain(*worker.bundles):
                with suppress(OSError, PromiseError):
                    self._desk.free(task.item, worker.opened.process)

    def _look_at_nodes(self) -> None:
        """Query the nodes, and start workers where there is room for them."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        self._nodes = self._fleet.nodes()
        self._names |= {key: node.name for key, node in self._nodes.items()}
        usable = {key: node for key, node in self._nodes.items() if key not in self._left_out and node.room}
        if self._workers or usable:
            self._alone_since = now
        elif self._left_out and self._nodes:
            name, reason = next(reversed(self._left_out.items()))
            raise PromiseError(
                f"no usable node is left in the cluster; the last was {self._name(name)}: {reason}. Finished work is "
                "kept: run the same command again"
            )
        else:
            self._tell("waiting for a node of the cluster")
            if now - self._alone_since > self._patience:
                raise PromiseError(
                    "the cluster has no nodes any more. Finished work is kept: run the same command again"
                )
        waiting = [one for one in self._workers.values() if one.opened is None and now - one.since > _SLOW_SECONDS]
        for one in waiting:
            self._tell(f"waiting for free resources on {self._name(one.node)}, which other work may be using")
        idle = sum(not one.bundles for one in self._workers.values()) - len(waiting)
        for key, node in usable.items():
            for _ in range(node.room - sum(one.node == key for one in self._workers.values())):
                if idle >= len(self._queue):
                    return
                self._workers[self._fleet.start(key)] = _Worker(key, since=now)
                idle += 1

    def _give_to(self, number: int) -> None:
        """Give a worker up to two bundles: the one that it works on, and the next."""
        worker = self._workers[number]
        while worker.opened is not None and len(worker.bundles) < 2:
            bundle = self._next_bundle(worker)
            if not bundle:
                return
            if not worker.bundles:
                worker.since = self._clock()
            worker.bundles.append(bundle)
            self._fleet.give(number, [task.item for task in bundle], any(task.again for task in bundle))

    def _next_bundle(self, worker: _Worker) -> list[Task]:
        size = 1
        if worker.item_seconds is not None:
            fair = len(self._queue) // (2 * len(self._workers)) or 1
            size = max(1, min(_LARGEST_BUNDLE, fair, int(_BUNDLE_SECONDS / max(worker.item_seconds, 1e-6))))
        return self._queue.take(size, self._clock())

    def _hear(self, number: int, said: Opened | WorkReport | Trouble | Died) -> None:
        worker = self._workers[number]
        if isinstance(said, Opened):
            self._compare_facts(worker, said)
            for words in said.notes:
                self._tell(words)
            if not self._has_opened:
                self._desk.begin()
            worker.opened, worker.since, self._has_opened = said, self._clock(), True
        elif isinstance(said, WorkReport):
            self._take_in(worker, said)
        elif isinstance(said, Died):
            self._lose(number, said.words)
        elif not self._has_opened:
            raise PromiseError(f"the worker on {self._name(worker.node)}: {said.words}")
        else:
            self._stop_after(number, said)

    def _compare_facts(self, worker: _Worker, said: Opened) -> None:
        for name, value in said.facts.items():
            known = self._facts.setdefault(name, value)
            if known != value:
                raise PromiseError(
                    f"the worker on {self._name(worker.node)} has the {name} {value}, but {self._facts_of} has "
                    f"{known}. Give all computers of the cluster the same one; this worker has done nothing"
                )
        if self._facts_of == "this process" and said.facts:
            self._facts_of = f"the worker on {self._name(worker.node)}"

    def _take_in(self, worker: _Worker, answer: WorkReport) -> None:
        """Add the report of a worker to the outcome, and queue the items that have to be tried again."""
        if answer.memory_bytes is not None:
            self._fleet.note_memory(answer.memory_bytes)
        now, bundle = self._clock(), worker.bundles.popleft()
        seconds = (now - worker.since) / len(bundle)
        before = worker.item_seconds
        worker.item_seconds = seconds if before is None else (seconds + before) / 2
        worker.since = now
        self._strikes.pop(worker.node, None)
        self._refusals.pop(worker.node, None)
        self.outcome.done += answer.done
        self.outcome.already_there += answer.already_there
        self.outcome.notes += answer.notes
        if answer.common_notes is not None:
            common = self.outcome.common_notes
            self.outcome.common_notes = answer.common_notes if common is None else common & answer.common_notes
        tried_again = set[str]()
        for position, task in enumerate(bundle):
            if (holder := answer.claimed.get(position)) is not None:
                task.again, task.not_before = True, now + _CLAIMED_SECONDS
                self._queue.put_last(task)
                self._tell_of_claims(
                    f"waiting for items that other processes have claimed, such as {holder}; claims of dead processes "
                    "are taken over within ten minutes"
                )
            elif (problem := answer.problems.get(position)) is not None:
                task.problems += 1
                if task.problems < _MOST_PROBLEMS:
                    task.again = True
                    self._queue.put_last(task)
                    tried_again.add(self._desk.name(task.item))
                else:
                    self.outcome.problems[task.number] = problem
                    self._tick()
            else:
                self._tick()
        answer.heard.tell(tried_again)

    def _stop_after(self, number: int, trouble: Trouble) -> None:
        """End a worker that is alive but cannot continue."""
        self._fleet.end(number)
        worker = self._workers.pop(number)
        node = worker.node
        self._take_back(worker, trouble.words if trouble.is_bug else "")
        if trouble.is_bug:
            self._strike(node, trouble.words)
            return
        self._refusals[node] = self._refusals.get(node, 0) + 1
        if self._refusals[node] >= _MOST_REFUSALS:
            self._leave_out(node, trouble.words)

    def _lose(self, number: int, words: str) -> None:
        """Remove a dead worker, and queue its items for others."""
        worker = self._workers.pop(number)
        self.outcome.lost_workers += 1
        self._take_back(worker, f"the worker died while processing it: {words}")
        self._strike(worker.node, words)

    def _take_back(self, worker: _Worker, blame: str) -> None:
        """Queue the items of a worker; if there is a ``blame``, count it against all items of the current bundle.

        Items that have been blamed too often fail with that reason instead.
        """
        self._next_look = 0.0
        for position, bundle in enumerate(worker.bundles):
            for task in reversed(bundle):
                if worker.opened is not None:
                    self._desk.free(task.item, worker.opened.process)
                task.again = True
                if blame and not position:
                    task.blame += 1
                if task.blame >= _MOST_BLAME:
                    self.outcome.problems[task.number] = words = self._desk.fail(task.item, blame)
                    name, error = self._desk.name(task.item), PromiseError(words)
                    item_ended(self._desk.work, name, ItemOutcome.FAILED, None, error)
                    self._tick()
                else:
                    self._queue.put_first(task)
        worker.bundles.clear()

    def _strike(self, node: str, words: str) -> None:
        self._strikes[node] = self._strikes.get(node, 0) + 1
        if self._strikes[node] >= _MOST_STRIKES:
            self._leave_out(node, words)

    def _leave_out(self, node: str, reason: str) -> None:
        if node not in self._left_out:
            self._left_out[node] = reason
            self._note(f"{self._name(node)} gets no more work: {reason}")

    def _end_those_that_hang(self) -> None:
        now = self._clock()
        for number, worker in list(self._workers.items()):
            if (worker.bundles or worker.opened is None) and now - worker.since > self._patience:
                self._fleet.end(number)
                self._lose(number, f"no answer for {self._patience:,.0f} s")

    def _name(self, node: str) -> str:
        return self._names.get(node, node)

    def _tell_of_claims(self, words: str) -> None:
        """Report that other processes have claimed items, but only the first time."""
        if not self._has_told_of_claims:
            self._has_told_of_claims = True
            self._note(words)

    def _tell(self, words: str) -> None:
        """Report a line, but only the first time."""
        if words not in self._told:
            self._told.add(words)
            self._note(words)
