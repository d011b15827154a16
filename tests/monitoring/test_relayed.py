"""What workers of a cluster say is heard where the work is given out, and there alone."""

import pickle

from promise_seg.monitoring.hooks import Listener, item_ended, listening, step
from promise_seg.monitoring.relayed import heard
from promise_seg.vocabulary import ItemOutcome, WorkStep


class Noting(Listener):
    def __init__(self):
        self.items, self.steps = [], []

    def item_ended(self, work, item, outcome, seconds, problem):
        self.items.append((work, item, outcome, seconds, problem and str(problem)))

    def step_ended(self, name, seconds):
        self.steps.append((name, seconds))


def test_what_was_said_is_carried_and_told():
    noting = Noting()
    with listening(noting):
        with heard() as said, step(WorkStep.READ):
            item_ended("predict", "a", ItemOutcome.DONE, 0.5)
            item_ended("predict", "b", ItemOutcome.FAILED, 0.1, ValueError("b: bad"))
            item_ended("predict", "c", ItemOutcome.FAILED, 0.1, ValueError("c: bad"))
        assert noting.items == []
        pickle.loads(pickle.dumps(said)).tell(tried_again={"c"})
    assert noting.items == [
        ("predict", "a", ItemOutcome.DONE, 0.5, None), ("predict", "b", ItemOutcome.FAILED, 0.1, "b: bad")
    ]  # fmt: skip
    assert [name for name, _ in noting.steps] == [WorkStep.READ]
