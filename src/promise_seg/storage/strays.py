"""Temporary files that say whose they are, so that those of killed processes can be removed.

A file is written as ``.<system>-<process>-<start>-<token>~<name>`` beside its place. Its process removes it whatever
happens, unless it is killed. The next process that writes in the folder, or begins work in it, removes what belongs to
processes that are gone: those of this system are asked for; files of other systems are left until they were not changed
for a day. The same holds for lock files. A file that lasts as long as a run is renewed meanwhile (:func:`renewed`).
"""

import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from promise_seg.processes import is_running, own_start, system_name
from promise_seg.storage.holders import Holder, may_be_lock, remove_lock_of
from promise_seg.storage.swapping import hidden_place, remove, remove_leftovers

LONGEST_NAME = 255
"""The bytes that the name of a file or folder may have in the usual file systems."""
_OWNED = re.compile(r"\.([0-9a-f]{8})-([0-9a-f]+)-([0-9a-f]+)-[0-9a-f]{8}~.*", re.DOTALL)
_DAY_SECONDS = 86_400.0
_cleared: dict[tuple[int, str], float] = {}
"""When a folder was looked through last, by process and folder."""
_AGAIN_SECONDS = 3600.0
_RENEWAL_SECONDS = 600.0
_lock = threading.Lock()


def temporary_name(name: str) -> str:
    """Return a new hidden name that ends like ``name``, of which the beginning is left out if it would be too long."""
    prefix = f".{_system()}-{os.getpid():x}-{int(own_start()):x}-{secrets.token_hex(4)}~"
    while name and len(os.fsencode(prefix + name)) > LONGEST_NAME:
        name = name[1:]
    return prefix + name


def is_left_behind(name: str, since: str) -> bool:
    """Whether the process that made a temporary name is gone; for one of another system, whether a day has passed.

    Args:
        name: that :func:`temporary_name` returned.
        since: when that was, in ISO format.
    """
    if (found := _OWNED.fullmatch(name)) is None:
        return False
    system, pid, start = found.groups()
    if system == _system() and int(start, 16):
        return not is_running(int(pid, 16), int(start, 16))
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() > _DAY_SECONDS
    except (ValueError, TypeError):
        return False


@contextmanager
def renewed(path: Path) -> Iterator[None]:
    """Renew the time of change of a temporary file while the block lasts, and remove the file at the end.

    Other computers would take it for a stray after a day.
    """
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(_RENEWAL_SECONDS):
            with suppress(OSError):
                os.utime(path)

    threading.Thread(target=renew, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with suppress(OSError):
            path.unlink()


def remove_strays(folder: Path) -> None:
    """Remove temporary files, folders and locks in a folder whose processes were killed; nothing in folders of it.

    What cannot be removed stays. A process looks a folder through once in an hour: one that lasts for days removes what
    others left meanwhile.
    """
    key = (os.getpid(), os.path.abspath(folder))  # noqa: PTH100  (links are left as they are)
    now = time.monotonic()
    with _lock:
        if now - _cleared.get(key, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        _cleared[key] = now
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(".")]
    except OSError:  # it is not there yet, or nothing may be done in it
        return
    for name in names:
        if (found := _OWNED.fullmatch(name)) and _is_stray(folder / name, *found.groups()):
            remove(folder / name)
        elif may_be_lock(name):
            _remove_dead_lock(folder / name)
        elif place := hidden_place(name):
            remove_leftovers(folder / place)


def _remove_dead_lock(path: Path) -> None:
    holder = Holder.read(path)
    if holder is None:  # a file of another program, or a lock that is being written
        return
    if not holder.is_running if holder.is_of_this_system else _is_old(path):
        with suppress(OSError):
            remove_lock_of(path, holder, path.with_name(temporary_name(path.name)))


def _is_stray(path: Path, system: str, pid: str, start: str) -> bool:
    if system == _system() and int(start, 16):
        return not is_running(int(pid, 16), int(start, 16))
    return _is_old(path)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _DAY_SECONDS
    except OSError:
        return False


@cache
def _system() -> str:
    return hashlib.sha256(system_name().encode()).hexdigest()[:8]
