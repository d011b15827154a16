"""Whatever happens to workers, each item is done once, or is among the problems with its reason."""

import json
import random
from collections import Counter, deque
from dataclasses import dataclass, field

import pytest

from promise_seg.errors import ImageError, PromiseError
from promise_seg.fleet.dispatch import Died, Dispatcher, Node
from promise_seg.fleet.work import Opened, Trouble, WorkReport
from promise_seg.monitoring.hooks import item_ended
from promise_seg.monitoring.monitored import monitored
from promise_seg.monitoring.relayed import heard
from promise_seg.storage.holders import Holder
from promise_seg.vocabulary import ItemOutcome


@dataclass
class Hands:
    """A worker of the fleet below."""

    node: str
    waiting: deque = field(default_factory=lambda: deque(["open"]))


class FakeFleet:
    """A fleet in this process: ``act(worker, node, items, again)`` says what becomes of a bundle."""

    def __init__(self, act, nodes, opened=None):
        self.act, self.room, self.opened = act, dict(nodes), opened or (lambda node: {})
        self.workers, self.ended, self.bundles, self.now = {}, [], [], 0.0

    def nodes(self):
        return {key: Node(f"node {key}", room) for key, room in self.room.items()}

    def start(self, node):
        number = len(self.workers) + len(self.ended)
        self.workers[number] = Hands(node)
        return number

    def give(self, worker, items, again):
        self.bundles.append(list(items))
        self.workers[worker].waiting.append((list(items), again))

    def wait(self, seconds):
        self.now += 0.1
        for number, hands in list(self.workers.items()):
            if number not in self.workers or not hands.waiting:
                continue
            if hands.waiting[0] == "open":
                said = self.opened(hands.node)  # facts, or trouble, or None while it has no room yet
                said = Opened(said, Holder.this_process()) if isinstance(said, dict) else said
            else:
                said = self.act(number, hands.node, *hands.waiting[0])
            if said is None:  # it is still at work
                self.now += seconds
                continue
            hands.waiting.popleft()
            if isinstance(said, Died):
                self.end(number)
            yield number, said

    def end(self, worker):
        if worker in self.workers:
            del self.workers[worker]
            self.ended.append(worker)


class NotedDesk:
    work = "count"

    def __init__(self):
        self.freed, self.failed, self.begun = [], [], 0

    def begin(self):
        self.begun += 1

    def name(self, item):
        return f"item {item}"

    def free(self, item, process):
        self.freed.append(item)

    def fail(self, item, reason):
        self.failed.append(item)
        return f"{item}: {reason}"


class Run:
    """A run of a dispatcher, with what it said."""

    def __init__(self, act, items, nodes=None, opened=None, **more):
        self.fleet, self.desk, self.notes, self.steps = FakeFleet(act, nodes or {"a": 2}, opened), NotedDesk(), [], []
        self.dispatcher = Dispatcher(
            self.fleet, self.desk, note=self.notes.append, progress=lambda *step: self.steps.append(step[1:3]),
            clock=lambda: self.fleet.now, **more,
        )  # fmt: skip
        self.items = items

    def go(self):
        self.outcome = self.dispatcher.run(self.items)
        assert not self.fleet.workers  # all are ended
        return self.outcome


def all_done(number, node, items, again):
    return WorkReport(done=len(items))


def test_all_items_are_done_once_in_bundles_that_grow():
    run = Run(all_done, range(200), {"a": 2, "b": 1})
    outcome = run.go()
    assert (outcome.done, outcome.problems, outcome.lost_workers) == (200, {}, 0)
    assert Counter(item for bundle in run.fleet.bundles for item in bundle) == Counter(range(200))
    assert len(run.fleet.bundles[0]) == 1
    assert run.desk.begun == 1
    assert max(map(len, run.fleet.bundles)) > 1
    assert run.steps[-1] == (200, 200)


def test_no_more_workers_are_started_than_there_are_items():
    run = Run(all_done, [1], {"a": 40})
    run.go()
    assert run.fleet.ended == [0]


@pytest.mark.parametrize("seed", range(5))
def test_workers_and_nodes_that_die_at_any_moment_lose_nothing(seed):
    rng, done = random.Random(seed), Counter()

    def act(number, node, items, again):
        if rng.random() < 0.1:
            done.update(items[: rng.randrange(len(items))])
            return Died("killed")
        if rng.random() < 0.03:
            run.fleet.room.pop(node, None)
            return Died("the node is lost")
        new = [item for item in items if not (again and done[item])]  # as a log or a store tells
        assert len(new) == len(items) or again
        done.update(new)
        run.fleet.room.setdefault(rng.choice("abc"), 2)
        return WorkReport(len(new), len(items) - len(new))

    run = Run(act, range(300), {"a": 2, "b": 1})
    outcome = run.go()
    assert set(done) == set(range(300))
    assert set(done.values()) == {1}
    assert outcome.problems == {}
    assert outcome.lost_workers
    assert run.steps[-1] == (300, 300)


def test_an_item_that_workers_die_of_is_given_up_and_the_others_are_not():
    def act(number, node, items, again):
        return Died("out of memory") if 7 in items else WorkReport(done=len(items))

    run = Run(act, range(20))
    outcome = run.go()
    assert outcome.problems == {7: "7: the worker died while processing it: out of memory"}
    assert run.desk.failed == [7]
    assert outcome.done == 19
    assert 7 in run.desk.freed  # its claim was ended
    assert outcome.lost_workers == 4


def test_an_error_that_no_user_can_mend_counts_against_the_item():
    def act(number, node, items, again):
        return Trouble("ValueError on x: bad", is_bug=True) if 3 in items else WorkReport(done=len(items))

    outcome = Run(act, range(6)).go()
    assert outcome.problems == {3: "3: ValueError on x: bad"}
    assert outcome.done == 5


def test_an_item_that_cannot_be_read_is_tried_once_more():
    tried = Counter()

    def act(number, node, items, again):
        tried.update(items)
        bad = {at for at, item in enumerate(items) if item == 5 or (item == 2 and tried[2] == 1)}
        return WorkReport(len(items) - len(bad), problems={at: f"{items[at]}: cannot be read" for at in bad})

    run = Run(act, range(8))
    outcome = run.go()
    assert outcome.problems == {5: "5: cannot be read"}
    assert (tried[2], tried[5], outcome.done) == (2, 2, 7)
    assert run.desk.failed == []  # the worker has logged it


def test_each_item_is_told_of_once_whoever_did_it(tmp_path):
    def act(number, node, items, again):
        if 7 in items:
            return Died("out of memory")
        with heard() as said:
            for item in items:
                bad = ImageError("bad") if item == 5 else None
                item_ended("count", f"item {item}", ItemOutcome.FAILED if bad else ItemOutcome.DONE, 0.1, bad)
        return WorkReport(len(items), problems={at: "bad" for at, item in enumerate(items) if item == 5}, heard=said)

    log = tmp_path / "log.jsonl"
    with monitored(log_file=log):
        Run(act, range(10)).go()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    events = sorted((line["item"], line["event"]) for line in lines if "item" in line)
    assert events == [(f"item {item}", "failed" if item in (5, 7) else "done") for item in range(10)]


def test_a_node_with_a_full_disk_gets_no_more_work():
    def act(number, node, items, again):
        return Trouble("/tmp/x: cannot write: No space left", is_bug=False) if node == "b" else WorkReport(len(items))

    run = Run(act, range(100), {"a": 1, "b": 1})
    outcome = run.go()
    assert (outcome.done, outcome.problems) == (100, {})
    assert run.notes == ["node b gets no more work: /tmp/x: cannot write: No space left"]


def test_the_run_ends_if_no_node_can_work():
    run = Run(lambda *_: Trouble("/tmp/x: cannot write: No space left", is_bug=False), range(9), {"a": 1, "b": 1})
    with pytest.raises(
        PromiseError, match=r"no usable node is left .*: /tmp/x: cannot write: No space left\. Finished work"
    ):
        run.go()
    assert not run.fleet.workers


def test_workers_that_cannot_load_the_model_end_the_run_and_those_that_die_of_it_do_not_start_forever():
    run = Run(all_done, range(3))
    run.fleet.wait = lambda seconds: [(number, Trouble("no such SAM", False)) for number in run.fleet.workers]
    with pytest.raises(PromiseError, match=r"^the worker on node a: no such SAM$"):
        run.go()
    run = Run(all_done, range(3))

    def wait(seconds):
        run.fleet.now += 1
        number = next(iter(run.fleet.workers))
        run.fleet.end(number)
        return [(number, Died("out of memory"))]

    run.fleet.wait = wait
    with pytest.raises(PromiseError, match="the last was node a: out of memory"):
        run.go()
    assert len(run.fleet.ended) < 20


def test_a_worker_with_another_sam_is_refused():
    run = Run(all_done, range(9), {"a": 1, "b": 1}, lambda node: {"SAM": f"sam of {node}"})
    with pytest.raises(
        PromiseError, match="worker on node b has the SAM sam of b, but the worker on node a has sam of a"
    ):
        run.go()
    run = Run(all_done, range(9), {"b": 1}, lambda node: {"SAM": "b"}, facts={"SAM": "mine"})
    with pytest.raises(PromiseError, match="has the SAM b, but this process has mine"):
        run.go()
    assert run.fleet.bundles == []
    assert run.desk.begun == 0


def test_items_that_others_have_claimed_are_given_again_later():
    asked = []

    def act(number, node, items, again):
        if 4 in items:
            asked.append(again)
            if len(asked) < 3:
                return WorkReport(len(items) - 1, claimed={list(items).index(4): "process 1 on node7"})
            return WorkReport(len(items) - 1, 1)
        return WorkReport(len(items))

    run = Run(act, range(6))
    outcome = run.go()
    assert (outcome.done, outcome.already_there) == (5, 1)
    assert asked == [False, True, True]
    assert len([words for words in run.notes if "process 1 on node7" in words]) == 1


def test_workers_that_find_no_room_are_waited_for_by_nobody_and_that_is_said():
    def act(number, node, items, again):
        run.fleet.now += 1
        return WorkReport(len(items))

    run = Run(act, range(200), {"a": 1, "b": 1}, lambda node: {} if node == "a" else None)
    assert run.go().done == 200
    assert run.notes == ["waiting for free resources on node b, which other work may be using"]


def test_one_opening_that_fails_among_others_costs_its_node_alone():
    def act(number, node, items, again):
        run.fleet.now += 1
        return WorkReport(len(items))

    def opened(node):
        return {} if node == "a" else Trouble("no such SAM here", is_bug=False)

    run = Run(act, range(100), {"a": 1}, opened)
    nodes = run.fleet.nodes
    run.fleet.nodes = lambda: run.fleet.room.update({"b": 1} if run.fleet.bundles else {}) or nodes()
    outcome = run.go()
    assert (outcome.done, outcome.problems, outcome.lost_workers) == (100, {}, 0)
    assert run.notes == ["node b gets no more work: no such SAM here"]


def test_the_claims_of_all_workers_end_with_the_call():
    def act(number, node, items, again):
        if 3 in items:
            raise KeyboardInterrupt
        return WorkReport(len(items))

    run = Run(act, range(8), {"a": 1})
    with pytest.raises(KeyboardInterrupt):
        run.go()
    assert 3 in run.desk.freed
    assert not run.fleet.workers


def test_a_worker_that_hangs_is_ended():
    hung = []

    def act(number, node, items, again):
        if 2 in items and not hung:
            hung.append(number)
        return None if number in hung else WorkReport(len(items))

    run = Run(act, range(5), {"a": 1}, patience=60)
    outcome = run.go()
    assert (outcome.done, outcome.lost_workers, outcome.problems) == (5, 1, {})
    assert hung[0] in run.fleet.ended


def test_a_cluster_without_nodes_is_waited_for_and_then_given_up():
    run = Run(all_done, range(5), {"a": 1}, patience=60)
    nodes, looks = run.fleet.nodes, []

    def later():
        looks.append(1)
        return nodes() if len(looks) > 3 else {}

    run.fleet.nodes = later
    assert run.go().done == 5
    assert run.notes == ["waiting for a node of the cluster"]
    run = Run(all_done, range(5), patience=60)
    run.fleet.nodes = dict
    with pytest.raises(PromiseError, match="has no nodes any more"):
        run.go()


def test_common_notes_are_those_of_all_bundles_that_can_tell():
    said = iter([None, frozenset({"a", "b"}), None, frozenset({"b", "c"}), None])

    def act(number, node, items, again):
        return WorkReport(done=len(items), common_notes=next(said, None))

    assert Run(act, range(5), {"a": 1}).go().common_notes == {"b"}
    assert Run(all_done, range(5)).go().common_notes is None
