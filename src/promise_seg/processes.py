"""Tell this process from all others, also those of other computers, and whether another still runs; start workers."""

import multiprocessing
import os
import re
import signal
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.pool import Pool
from pathlib import Path

import psutil

_DRAWN_BY_CHANCE = 1 << 40  # the bit of an address for many receivers, which no card has (RFC 4122, section 4.5)
_OF_THIS_PROCESS = Path("/proc/self/status")  # of Linux
_SAME_START_SECONDS = 5.0  # the system's clock, by which starts are counted, is set right now and then


@cache
def system_name() -> str:
    """Return what tells the system of this process from all others: computer, boot and container.

    It is the same for all processes of one system. A number that Python draws where there is no network card would not
    be.
    """
    found = [socket.gethostname()]
    if not (card := uuid.getnode()) & _DRAWN_BY_CHANCE:
        found.append(f"{card:x}")
    with suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        found.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(found)


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def own_start() -> float:
    """Return when this process started, in seconds; 0 if the system does not say so."""
    return _own_start(os.getpid())


@cache
def _own_start(pid: int) -> float:  # a forked process has another number
    return _start_of(pid) or 0.0


def is_running(pid: int, started: float) -> bool:
    """Whether the process of this system that had a number and started then still runs."""
    found = _start_of(pid)
    return found is not None and abs(found - started) < _SAME_START_SECONDS


def _start_of(pid: int) -> float | None:
    """Return when a process of this system started, which tells it from a later one with the same number.

    It is ``None`` if it ended, also if the one that began it was not yet told so.
    """
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def most_memory() -> int | None:
    """Return the most memory that this process had in use, in bytes; ``None`` if the system does not tell."""
    if sys.platform == "win32":
        return None
    if _OF_THIS_PROCESS.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", _OF_THIS_PROCESS.read_text())):
        return int(found[1]) * 1024  # getrusage knows at least as much as the process that started this one
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@contextmanager
def worker_pool(count: int) -> Iterator[Pool]:
    """Start worker processes that Ctrl-C does not reach, and end them at the end, also after an interruption.

    A terminal sends Ctrl-C to all processes of a command. This process ends its workers itself; they would each print a
    traceback otherwise.

    Args:
        count: the number of workers.
    """
    with interrupts_blocked():
        pool = multiprocessing.get_context("spawn").Pool(count)
    with pool:
        yield pool


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block; processes that are started in the block never receive it."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # where the library starts it later, it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
