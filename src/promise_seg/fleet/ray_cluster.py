"""A Ray cluster as a fleet of workers: Ray places and starts them, reports their deaths and transfers the messages."""

import os
import re
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from promise_seg._version import __version__
from promise_seg.errors import PromiseError, SettingsError, first_line
from promise_seg.fleet.dispatch import Died, Node
from promise_seg.fleet.work import Job, Opened, Shell, Trouble, WorkReport
from promise_seg.quantities import bytes_in_words

AUTO, LOCAL = "auto", "local"
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})")
_VARIABLE = "RAY_ADDRESS"  # the environment variable that Ray itself reads
_CONNECT_SECONDS = 10.0
_MOMENT_SECONDS = 10.0  # timeout for the first answers, in which all healthy nodes should answer
_GREETING_SECONDS = 50.0  # additional timeout if no node has answered by then
_LONGEST_WORDS = 300
_NOT_CONNECTED = (OSError, RuntimeError, ValueError)
"""Errors that Ray raises if it finds no cluster; if it cannot start one, it raises a plain ``Exception``."""


@dataclass(frozen=True)
class RayOptions:
    """A user's choice of a Ray cluster.

    Args:
        address: ``auto`` for the cluster that this computer belongs to, ``local`` for a cluster that is started on this
            computer for this call, or ``HOST:PORT`` of the head node.
        cpus: number of CPUs per worker.
        gpus: whether each worker gets a GPU; ``None`` means only if the cluster has any.
    """

    address: str
    cpus: int = 1
    gpus: bool | None = None

    @property
    def named(self) -> tuple[str, str]:
        """The name of the option that gives the address (``RAY_ADDRESS`` if ``auto`` refers to it), and the address."""
        variable = os.environ.get(_VARIABLE, "") if self.address == AUTO else ""
        return (_VARIABLE, variable) if variable else ("--ray", self.address)

    def check(self) -> None:
        """Check the options, and that Ray is installed.

        Raises:
            SettingsError: if an option is invalid. The message never repeats an address that contains credentials.
        """
        if self.cpus < 1:
            raise SettingsError(f"--ray-cpus {self.cpus}: expected a whole number from 1")
        option, address = self.named
        if "@" in address:
            raise SettingsError(
                f"{option}: the address contains a user name or password, which other users could see in process "
                "lists; expected HOST:PORT, auto or local"
            )
        if address.startswith("ray://"):
            raise SettingsError(
                f"{option} {address}: is the address of a Ray client, and a lost client would not be noticed. Run the "
                "command on a computer of the cluster with --ray auto, or by ray job submit"
            )
        if address not in (AUTO, LOCAL) and _ADDRESS.fullmatch(address) is None:
            raise SettingsError(f"{option} {address}: expected HOST:PORT of the head node, auto or local")
        if find_spec("ray") is None:
            raise SettingsError("--ray: Ray is not installed. Install what it needs: pip install 'promise-seg[ray]'")


def _greeting() -> Callable[[], str]:
    """Return a function that returns a node's version of this package, or an empty string if it is not installed.

    Ray pickles it by value, as it is a local function, so that it runs on nodes with another version or none.
    """

    def greet() -> str:
        import importlib

        try:
            return str(importlib.import_module("promise_seg._version").__version__)
        except ImportError:
            return ""

    return greet


@contextmanager
def connected(options: RayOptions) -> Iterator["RayFleet"]:
    """Connect to a cluster, yield its fleet, which has no job yet, and end all workers and the connection on exit.

    Raises:
        SettingsError: if an option is invalid, there is no cluster, or no node has enough CPUs or a requested GPU.
    """
    options.check()
    option, address = options.named
    if address not in (AUTO, LOCAL):
        _check_answers(option, address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here sends no usage statistics
    import ray

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    was_connected = ray.is_initialized()
    try:
        if not was_connected:
            ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=False)
    except Exception as error:
        if not (type(error) is Exception or isinstance(error, _NOT_CONNECTED)):
            raise
        raise SettingsError(f"{option} {address}: {_why_not_connected(address, error)}") from error
    finally:
        _restore(handlers)
    _quiet()
    fleet = RayFleet(options)
    try:
        fleet.check_room()
        yield fleet
    finally:
        fleet.close()
        if not was_connected:
            ray.shutdown()


def _why_not_connected(address: str, error: Exception) -> str:
    """Return the reason why there is no cluster, with a remedy."""
    if address == LOCAL:
        return (
            f"no cluster could be started on this computer: {first_line(error)}. Repeat the command when the computer "
            "is less busy, or leave --ray out"
        )
    what = "no Ray cluster runs on this computer" if address == AUTO else "cannot connect"
    return (
        f"{what}: {first_line(error)}. Start a cluster with ray start --head, or give --ray {LOCAL} for one on this "
        "computer alone"
    )


def _quiet() -> None:
    """Keep Ray from printing a paragraph for each worker that dies; deaths that matter are reported elsewhere."""
    with suppress(ImportError, AttributeError, KeyError):
        from ray._private.ray_logging import global_worker_stdstream_dispatcher

        global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    """Restore the signal handlers that Ray replaced."""
    for number, handler in handlers.items():
        with suppress(ValueError, TypeError):  # not in the main thread, or the handler was not set by Python
            signal.signal(number, handler)


def _check_answers(option: str, address: str) -> None:
    """Check within seconds whether anything listens at an address; Ray itself would try for minutes.

    Raises:
        SettingsError: if nothing does.
    """
    found = _ADDRESS.fullmatch(address)
    assert found is not None
    try:
        with socket.create_connection((found["host"].strip("[]"), int(found["port"])), _CONNECT_SECONDS):
            return
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"{option} {address}: no Ray cluster answers there: {first_line(error)}. Expected HOST:PORT of the head "
            "node, as ray start --head prints it"
        ) from error


class RayFleet:
    """The workers on a Ray cluster; see :class:`~promise_seg.fleet.dispatch.Fleet`.

    ``job`` is the work that each worker opens; it must be set before the first worker is started.
    """

    job: Job

    def __init__(self, options: RayOptions) -> None:
        self._options = options
        self._with_gpu = self._has_gpu() if options.gpus is None else options.gpus
        self._greeted: set[str] = set()
        self._greetings: dict[Any, Mapping[str, Any]] = {}  # version queries without an answer yet, with their nodes
        self._actors: dict[int, Any] = {}
        self._refs: dict[int, deque[Any]] = {}  # pending answers of each worker, in order
        self._started = 0
        self._memory = 0  # bytes of memory that a worker needs; 0 while unknown

    def check_room(self) -> None:
        """Check that at least one node can hold a worker.

        Raises:
            SettingsError: if none can.
        """
        alive = self._alive()
        if any(self._room(one) for one in alive):
            return
        usable = [one for one in alive if not self._with_gpu or one["Resources"].get("GPU", 0.0) >= 1]
        if alive and not usable:
            raise SettingsError(
                "--device cuda: no node of the cluster has a GPU. Give --device cpu, or start nodes that have one"
            )
        most = max((one["Resources"].get("CPU", 0.0) for one in usable), default=0.0)
        which = "the largest node with a GPU" if self._with_gpu else "the largest node"
        raise SettingsError(
            f"--ray-cpus {self._options.cpus}: {which} has {most:g} CPUs. Give fewer, or start larger nodes"
        )

    def _has_gpu(self) -> bool:
        """Whether the cluster has a GPU at the start; this is not checked again, so that all workers are alike."""
        return any(one["Resources"].get("GPU", 0.0) >= 1 for one in self._alive())

    @staticmethod
    def _alive() -> list[dict[str, Any]]:
        import ray

        return [one for one in ray.nodes() if one["Alive"]]

    def _room(self, node: Mapping[str, Any]) -> int:
        """Return the number of workers that a node can hold: at most one until the memory of a worker is known."""
        room, memory = self._slots(node), _memory_of(node)
        if not self._memory:
            return min(room, 1)
        return min(room, memory // self._memory) if memory else room

    def _slots(self, node: Mapping[str, Any]) -> int:
        """Return the number of workers that the CPUs and GPUs of a node suffice for."""
        slots = int(node["Resources"].get("CPU", 0.0) // self._options.cpus)
        return min(slots, int(node["Resources"].get("GPU", 0.0))) if self._with_gpu else slots

    def note_memory(self, most: int) -> None:
        """Reserve the peak memory of workers so far for each further worker; see the protocol."""
        self._memory = max(self._memory, most)

    def _check_memory(self, nodes: Collection[Mapping[str, Any]]) -> None:
        """Check that a worker fits into the memory of at least one node with enough CPUs and GPUs.

        Raises:
            PromiseError: if it fits into none.
        """
        able = [one for one in nodes if self._slots(one)]
        if able and not any(map(self._room, able)):
            largest = max(able, key=_memory_of)
            raise PromiseError(
                f"a worker takes {bytes_in_words(self._memory)} of memory for its model and images, and "
                f"{_name(largest)}, which has most, has {bytes_in_words(_memory_of(largest))} for workers. Start "
                "nodes with more (ray start --memory), take a smaller SAM or image size, or leave out --ray. Finished "
                "work is kept"
            )

    def nodes(self) -> dict[str, Node]:
        """Return the nodes that are alive and have this version of the package; see the protocol.

        Raises:
            PromiseError: if a node has another version or none, or no node has enough memory for a worker.
        """
        found = {one["NodeID"]: one for one in self._alive()}
        self._check_memory(found.values())
        self._greet({key: one for key, one in found.items() if key not in self._greeted and self._room(one)})
        return {key: Node(_name(one), self._room(one)) for key, one in found.items() if key in self._greeted}

    def _greet(self, nodes: Mapping[str, Mapping[str, Any]]) -> None:
        """Ask nodes for their version, and record those that have this one.

        Waits for the first answers up to a minute; once a node has answered, the others are not waited for.

        Raises:
            PromiseError: if a node has another version or none.
        """
        import ray

        asked = {one["NodeID"] for one in self._greetings.values()}
        for key, one in nodes.items():
            if key not in asked:
                ask = ray.remote(_greeting()).options(num_cpus=0, max_retries=0, scheduling_strategy=_only_on(key))
                self._greetings[ask.remote()] = one
        if not self._greetings:
            return
        refs, is_first = list(self._greetings), not self._greeted
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=_MOMENT_SECONDS if is_first else 0)
        if is_first and not ready:
            ready, _ = ray.wait(refs, num_returns=1, timeout=_GREETING_SECONDS)
        for ref in ready:
            node = self._greetings.pop(ref)
            try:
                version = ray.get(ref)
            except ray.exceptions.RayError:  # it is asked again at the next query
                continue
            if version != __version__:
                has = f"has promise-seg {version}, and this is {__version__}" if version else "has no promise-seg"
                raise PromiseError(f"{_name(node)}: {has}. Let all computers of the cluster have the same version")
            self._greeted.add(node["NodeID"])

    def start(self, node: str) -> int:
        """Start a worker on a node; see the protocol."""
        import ray

        self._started += 1
        actor = (
            ray.remote(Shell)
            .options(
                num_cpus=self._options.cpus, num_gpus=int(self._with_gpu), memory=self._memory or None, max_restarts=0,
                max_task_retries=0, scheduling_strategy=_only_on(node),
            )
            .remote(self.job)
        )  # fmt: skip
        self._actors[self._started] = actor
        self._refs[self._started] = deque([actor.open.remote()])
        return self._started

    def give(self, worker: int, items: Sequence[Any], again: bool) -> None:
        """Give a bundle to a worker; see the protocol."""
        self._refs[worker].append(self._actors[worker].do.remote(list(items), again))

    def wait(self, seconds: float) -> Iterator[tuple[int, Opened | WorkReport | Trouble | Died]]:
        """Yield the messages of workers; see the protocol."""
        import ray

        heads = {refs[0]: worker for worker, refs in self._refs.items() if refs}
        if not heads:  # for example, while all nodes are gone
            time.sleep(seconds)
            return
        ready, _ = ray.wait(list(heads), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(heads), num_returns=len(heads), timeout=0)
        for ref in ready:
            worker = heads[ref]
            if worker not in self._refs:  # ended meanwhile
                continue
            self._refs[worker].popleft()
            try:
                said = ray.get(ref)
            except ray.exceptions.RayError as error:
                self.end(worker)
                said = Died(first_line(error)[:_LONGEST_WORDS])
            yield worker, said

    def end(self, worker: int) -> None:
        """Kill a worker; see the protocol."""
        import ray

        actor = self._actors.pop(worker, None)
        self._refs.pop(worker, None)
        if actor is not None:
            with suppress(ray.exceptions.RayError, RuntimeError, ValueError):
                ray.kill(actor)

    def close(self) -> None:
        """Kill all workers."""
        for worker in list(self._actors):
            self.end(worker)


def _name(node: Mapping[str, Any]) -> str:
    """Return the name of a node for messages: its host name and address."""
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _memory_of(node: Mapping[str, Any]) -> int:
    """Return the bytes of memory that a node has for workers; 0 if it does not report them."""
    return int(node["Resources"].get("memory", 0.0))


def _only_on(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)
