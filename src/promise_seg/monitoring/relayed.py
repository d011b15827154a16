"""The words of workers of a cluster on their work, carried to the process that gives it out and told there."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from promise_seg.errors import ImageError
from promise_seg.monitoring import hooks
from promise_seg.monitoring.hooks import Listener
from promise_seg.vocabulary import ItemOutcome, WorkStep


@dataclass
class Heard(Listener):
    """A listener that keeps what it hears of items and steps, in plain values.

    Args:
        items: work, item, outcome, seconds, and the words of the problem, of each item that ended.
        steps: name and seconds of each step.
    """

    items: list[tuple[str, str, ItemOutcome, float | None, str | None]] = field(default_factory=list)
    steps: list[tuple[WorkStep, float]] = field(default_factory=list)

    def item_ended(
        self, work: str, item: str, outcome: ItemOutcome, seconds: float | None, problem: BaseException | None
    ) -> None:
        """Keep what became of an item."""
        self.items.append((work, item, outcome, seconds, None if problem is None else str(problem)))

    def step_ended(self, name: WorkStep, seconds: float) -> None:
        """Keep how long a step took."""
        self.steps.append((name, seconds))

    def tell(self, tried_again: Collection[str] = ()) -> None:
        """Tell the listeners of this process.

        Args:
            tried_again: the items that failed and are tried again, so that they have not ended.
        """
        for work, item, outcome, seconds, words in self.items:
            if outcome != ItemOutcome.FAILED or item not in tried_again:
                problem = None if words is None else ImageError(words)
                hooks.item_ended(work, item, outcome, seconds, problem)
        for name, seconds in self.steps:
            hooks.step_ended(name, seconds)


@contextmanager
def heard() -> Iterator[Heard]:
    """Keep what is said in this process until the block is left, in the place of telling its listeners."""
    found = Heard()
    with hooks.only_listening(found):
        yield found
