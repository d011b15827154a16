"""Processes: how to identify one among all computers, whether another one still runs, and how to start workers."""

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

_DRAWN_BY_CHANCE = 1 << 40  # the multicast bit of an address, which no network card has (RFC 4122, section 4.5)
_OF_THIS_PROCESS = Path("/proc/self/status")  # on Linux
_SAME_START_SECONDS = 5.0  # tolerance, as the system's clock, which start times refer to, is adjusted now and then


@cache
def system_name() -> str:
    """Return an identifier of the system that this process runs on: computer, boot and container.

    It is the same for all processes of one system. The random number that Python draws if there is no network card is
    left out, as it differs between processes.
    """
    found = [socket.gethostname()]
    if not (card := uuid.getnode()) & _DRAWN_BY_CHANCE:
        found.append(f"{card:x}")
    with suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        found.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(found)


def cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def own_start() -> float:
    """Return the start time of this process, in seconds since the epoch; 0 if the system does not report it."""
    return _own_start(os.getpid())


@cache
def _own_start(pid: int) -> float:  # cached by process ID, as a forked process has another one
    return _start_of(pid) or 0.0


def is_running(pid: int, started: float) -> bool:
    """Whether the process of this system with this ID and start time, in seconds since the epoch, still runs."""
    found = _start_of(pid)
    return found is not None and abs(found - started) < _SAME_START_SECONDS


def _start_of(pid: int) -> float | None:
    """Return the start time of a process of this system, which distinguishes it from a later one with the same ID.

    It is in seconds since the epoch, or ``None`` if the process ended, even if its parent has not noticed yet (zombie).
    """
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def most_memory() -> int | None:
    """Return the peak memory use of this process, in bytes; ``None`` if the system does not report it."""
    if sys.platform == "win32":
        return None
    if _OF_THIS_PROCESS.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", _OF_THIS_PROCESS.read_text())):
        return int(found[1]) * 1024  # getrusage reports at least the peak of the parent process
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@contextmanager
def worker_pool(count: int) -> Iterator[Pool]:
    """Start worker processes that Ctrl-C does not reach; they are terminated when the block ends, however it ends.

    A terminal sends Ctrl-C to all processes of a command. This process terminates its workers itself, as each of them
    would print a traceback otherwise.

    Args:
        count: the number of workers.
    """
    with interrupts_blocked():
        pool = multiprocessing.get_context("spawn").Pool(count)
    with pool:
        yield pool


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block; processes that are started in the block never receive it."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # if the library starts it later, it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
