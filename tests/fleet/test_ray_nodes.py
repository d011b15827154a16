"""Which nodes a cluster has, with a Ray in this process whose nodes answer when the test says so."""

import sys
from types import ModuleType

import pytest

from promise_seg._version import __version__
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.fleet import ray_cluster
from promise_seg.fleet.ray_cluster import RayFleet, RayOptions


class FakeRay(ModuleType):
    """Nodes by name, with their resources; those in ``answers`` say which version they have."""

    class exceptions:
        class RayError(Exception):
            pass

    def __init__(self):
        super().__init__("ray")
        self.resources, self.answers, self.waits, self.asked = {}, {}, [], []

    def nodes(self):
        return [
            {"NodeID": name, "Alive": True, "Resources": one, "NodeManagerHostname": name, "NodeManagerAddress": "ip"}
            for name, one in self.resources.items()
        ]

    def remote(self, function):
        ray = self

        class Asking:
            def options(self, scheduling_strategy, **more):
                self.node = scheduling_strategy
                return self

            def remote(self):
                ray.asked.append(self.node)
                return self.node

        return Asking()

    def wait(self, refs, num_returns, timeout):
        ready = [ref for ref in refs if ref in self.answers]
        if len(ready) < num_returns:
            self.waits.append(timeout)
        return ready[:num_returns], []

    def get(self, ref):
        if isinstance(self.answers[ref], Exception):
            raise self.answers.pop(ref)
        return self.answers[ref]


@pytest.fixture
def ray(monkeypatch):
    found = FakeRay()
    found.resources = {"sick": {"CPU": 2.0}, "well": {"CPU": 2.0}}
    monkeypatch.setitem(sys.modules, "ray", found)
    monkeypatch.setattr(ray_cluster, "_only_on", lambda node: node)
    return found


def test_a_sick_node_is_not_waited_for_while_another_works(ray):
    ray.answers = {"well": __version__}
    fleet = RayFleet(RayOptions("auto"))
    assert set(fleet.nodes()) == {"well"}
    assert ray.waits == [ray_cluster._MOMENT_SECONDS]
    for _ in range(3):
        assert set(fleet.nodes()) == {"well"}
    assert set(ray.waits[1:]) == {0}
    assert sorted(ray.asked) == ["sick", "well"]  # once, as the question is still on its way
    ray.answers["sick"] = __version__
    assert set(fleet.nodes()) == {"sick", "well"}


def test_a_node_whose_question_was_lost_is_asked_again(ray):
    ray.answers = {"well": __version__, "sick": ray.exceptions.RayError("lost")}
    fleet = RayFleet(RayOptions("auto"))
    assert set(fleet.nodes()) == {"well"}
    fleet.nodes()
    assert sorted(ray.asked) == ["sick", "sick", "well"]


def test_the_first_node_is_waited_for_longer(ray):
    assert RayFleet(RayOptions("auto")).nodes() == {}
    assert ray.waits == [ray_cluster._MOMENT_SECONDS, ray_cluster._GREETING_SECONDS]


def test_another_version_is_refused_whenever_it_is_told(ray):
    ray.answers = {"well": __version__}
    fleet = RayFleet(RayOptions("auto"))
    fleet.nodes()
    ray.answers["sick"] = "0.0"
    with pytest.raises(PromiseError, match=r"node sick \(ip\): has promise-seg 0.0, and this is"):
        fleet.nodes()


def test_whether_workers_have_a_gpu_is_decided_once(ray):
    ray.answers = dict.fromkeys(("sick", "well", "new"), __version__)
    ray.resources["well"]["GPU"] = 1.0
    fleet = RayFleet(RayOptions("auto"))
    fleet.note_memory(1)
    assert {key: node.room for key, node in fleet.nodes().items()} == {"well": 1}
    del ray.resources["well"]  # the nodes with a GPU are away for a while
    assert fleet.nodes() == {}
    ray.resources["new"] = {"CPU": 4.0, "GPU": 2.0}
    assert {key: node.room for key, node in fleet.nodes().items()} == {"new": 2}


def test_a_node_gets_as_many_workers_as_fit_into_its_memory(ray):
    ray.resources = {
        "small": {"CPU": 8.0, "memory": 5e9}, "large": {"CPU": 4.0, "memory": 64e9}, "silent": {"CPU": 2.0},
        "head": {"memory": 64e9}, "tiny": {"CPU": 8.0, "memory": 1e9},
    }  # fmt: skip
    ray.answers = dict.fromkeys(ray.resources, __version__)

    def rooms():
        return {key: node.room for key, node in fleet.nodes().items()}

    fleet = RayFleet(RayOptions("auto"))
    assert rooms() == {"small": 1, "large": 1, "silent": 1, "tiny": 1}  # it is not known yet what a worker needs
    fleet.note_memory(2_000_000_000)
    fleet.note_memory(1_000_000_000)  # of an image that needs less
    assert rooms() == {"small": 2, "large": 4, "silent": 2, "tiny": 0}


def test_a_worker_that_fits_on_no_node_is_said(ray):
    ray.resources = {"small": {"CPU": 8.0, "memory": 3e9}, "tiny": {"CPU": 8.0, "memory": 1e9}, "head": {"memory": 9e9}}
    ray.answers = dict.fromkeys(ray.resources, __version__)
    fleet = RayFleet(RayOptions("auto"))
    fleet.nodes()
    fleet.note_memory(4_000_000_000)
    with pytest.raises(
        PromiseError, match=r"takes 4\.0 GB of memory .* and node small \(ip\), which has most, has 3\.0 GB"
    ):
        fleet.nodes()


@pytest.mark.parametrize(
    ("gpus", "resources", "words"),
    [(True, {"CPU": 8.0}, "--device cuda: no node of the cluster has a GPU. Give --device cpu"),
     (None, {"CPU": 8.0, "GPU": 1.0}, "--ray-cpus 9: the largest node with a GPU has 8 CPUs"),
     (False, {"CPU": 8.0, "GPU": 1.0}, "--ray-cpus 9: the largest node has 8 CPUs")],
)  # fmt: skip
def test_a_cluster_without_room_says_what_it_lacks(ray, gpus, resources, words):
    ray.resources = {"only": resources}
    with pytest.raises(SettingsError) as refused:
        RayFleet(RayOptions("auto", 9, gpus)).check_room()
    assert words in str(refused.value)
