"""A fleet of workers in this process, in the place of a Ray cluster."""

from collections import deque
from contextlib import contextmanager

import pytest

from promise_seg.fleet import ray_cluster
from promise_seg.fleet.dispatch import Died, Node
from promise_seg.fleet.work import Shell


class LocalFleet:
    """Two nodes with a worker each; ``dies(items)`` says whether a worker dies before it begins with a bundle."""

    def __init__(self, dies):
        self._dies, self._workers, self._started = dies, {}, 0

    def nodes(self):
        return {"a": Node("node a", 1), "b": Node("node b", 1)}

    def start(self, node):
        self._started += 1
        self._workers[self._started] = (Shell(self.job), deque([None]))
        return self._started

    def give(self, worker, items, again):
        self._workers[worker][1].append((items, again))

    def wait(self, seconds):
        for number, (shell, waiting) in list(self._workers.items()):
            if number not in self._workers or not waiting:
                continue
            order = waiting.popleft()
            if order is None:
                said = shell.open()
            elif self._dies(order[0]):
                self.end(number)
                said = Died("killed")
            else:
                said = shell.do(*order)
            yield number, said

    def note_memory(self, most):
        assert most > 0

    def end(self, worker):
        self._workers.pop(worker, None)


def use_local_fleet(monkeypatch: pytest.MonkeyPatch, *modules: object, dies=lambda items: False) -> None:
    """Let modules connect to a local fleet whatever address they are given, and Ray seem to be installed."""

    @contextmanager
    def connected(options):
        yield LocalFleet(dies)

    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: object())
    for module in modules:
        monkeypatch.setattr(module, "connected", connected)
