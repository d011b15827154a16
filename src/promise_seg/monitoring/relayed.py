"""Relay events from the workers of a cluster to the listeners of the process that distributes the work."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from promise_seg.errors import ImageError
from promise_seg.monitoring import hooks
from promise_seg.monitoring.hooks import Listener
from promise_seg.vocabulary import ItemOutcome, WorkStep


@dataclass
class Heard(Listener):
    """A listener that records events about items and steps as plain values.

    Args:
        items: work, item, outcome, seconds and problem message of each item that ended.
        steps: name and seconds of each step.
    """

    items: list[tuple[str, str, ItemOutcome, float | None, str | None]] = field(default_factory=list)
    steps: list[tuple[WorkStep, float]] = field(default_factory=list)

    def item_ended(
        self, work: str, item: str, outcome: ItemOutcome, seconds: float | None, problem: BaseException | None
    ) -> None:
        """Record the outcome of an item."""
        self.items.append((work, item, outcome, seconds, None if problem is None else str(problem)))

    def step_ended(self, name: WorkStep, seconds: float) -> None:
        """Record how long a step took."""
        self.steps.append((name, seconds))

    def tell(self, tried_again: Collection[str] = ()) -> None:
        """Report the recorded events to the listeners of this process.

        Args:
            tried_again: names of failed items that are retried, whose failures are not reported.
        """
        for work, item, outcome, seconds, words in self.items:
            if outcome != ItemOutcome.FAILED or item not in tried_again:
                problem = None if words is None else ImageError(words)
                hooks.item_ended(work, item, outcome, seconds, problem)
        for name, seconds in self.steps:
            hooks.step_ended(name, seconds)


@contextmanager
def heard() -> Iterator[Heard]:
    """Record the events of this process instead of reporting them to its listeners, until the block is left."""
    found = Heard()
    with hooks.only_listening(found):
        yield found
