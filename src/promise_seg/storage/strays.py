"""Temporary files whose names identify their process, so that the files of killed processes can be removed.

A file is written as ``.<system>-<process>-<start>-<token>~<name>`` next to its final path. Its process removes it in
any case, unless it is killed. The next process that writes in the folder, or begins work in it, removes the files of
processes that are gone: on this system at once, on other systems if a file has not changed for a day. The same holds
for lock files. The modification time of a file that lasts as long as a run is renewed (:func:`renewed`).
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
"""The maximum length, in bytes, of the name of a file or folder in common file systems."""
_OWNED = re.compile(r"\.([0-9a-f]{8})-([0-9a-f]+)-([0-9a-f]+)-[0-9a-f]{8}~.*", re.DOTALL)
_DAY_SECONDS = 86_400.0
_cleared: dict[tuple[int, str], float] = {}
"""The time of the last search for strays, on the monotonic clock, by process and folder."""
_AGAIN_SECONDS = 3600.0
_RENEWAL_SECONDS = 600.0
_lock = threading.Lock()


def temporary_name(name: str) -> str:
    """Return a new hidden name that ends in ``name``, without the beginning of ``name`` if it would be too long."""
    prefix = f".{_system()}-{os.getpid():x}-{int(own_start()):x}-{secrets.token_hex(4)}~"
    while name and len(os.fsencode(prefix + name)) > LONGEST_NAME:
        name = name[1:]
    return prefix + name


def is_left_behind(name: str, since: str) -> bool:
    """Whether the process that made a temporary name is gone; for another system, whether a day has passed.

    Args:
        name: name that :func:`temporary_name` returned.
        since: time when the name was made, in ISO format.
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
    """Renew the modification time of a temporary file during the block, and remove the file at the end.

    Otherwise, other computers would regard it as a stray after a day.
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
    """Remove temporary files, folders and locks of killed processes from a folder; subfolders are not searched.

    Files that cannot be removed are left. A process searches a folder at most once an hour, so that a process that runs
    for days also removes files that others left meanwhile.
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
    except OSError:  # the folder does not exist yet, or is not accessible
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
