"""The holder of a lock file, and the safe removal of the lock of a process that is gone."""

import json
import os
import re
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from promise_seg.processes import is_running, own_start, system_name
from promise_seg.storage.swapping import lock_folder

LOCK_FILE = ".promise-lock"
"""The name of the lock of a folder."""
_LOCKS_OF_FILES = re.compile(r"\..+\.lock", re.DOTALL)
_TRIES = 50
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, and when it took the lock.

    Args:
        host: name of the computer.
        system: identifier of the system in which ``pid`` and ``started`` are valid: computer, boot and container.
        pid: process ID.
        started: start time of the process, in seconds since the epoch.
        since: time when the process took the lock, in ISO format.
        token: random text that no other holder has.
    """

    host: str
    system: str
    pid: int
    started: float
    since: str
    token: str

    @classmethod
    def this_process(cls) -> "Holder":
        """Return a holder for this process, with a new token."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), system_name(), os.getpid(), own_start(), now, secrets.token_hex(8))

    @classmethod
    def read(cls, path: Path) -> "Holder | None":
        """Read the holder of a lock; ``None`` if there is no such file, or its content is not (yet) that of a lock."""
        try:
            return cls.of(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @classmethod
    def of(cls, text: str) -> "Holder | None":
        """Return the holder from the content of a lock; ``None`` if the content is not that of a lock."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"

    @property
    def process(self) -> tuple[str, str, int, float]:
        """The identity of the process: equal for all locks of one process, and for no other process."""
        return self.host, self.system, self.pid, self.started

    @property
    def is_of_this_system(self) -> bool:
        """Whether the holder is on the system of this process, which can then check whether it runs."""
        return self.system == system_name()

    @property
    def is_running(self) -> bool:
        """Whether a holder of this system still runs."""
        return is_running(self.pid, self.started)


def lock_of(path: Path) -> Path:
    """Return the path of the lock of a file."""
    return path.with_name(f".{path.name}.lock")


def may_be_lock(name: str) -> bool:
    """Whether a file of this name may be a lock."""
    return name == LOCK_FILE or _LOCKS_OF_FILES.fullmatch(name) is not None


def remove_lock_of(path: Path, dead: Holder | None, aside: Path) -> None:
    """Remove the lock of a process that is gone, unless another process has taken the lock meanwhile.

    A process that removes the lock of another one holds the system's lock of the folder, so that no process can remove
    the file and take the lock between reading and removing it. If the system has no such locks, the file is moved aside
    first, and put back if it is not the expected file.

    Args:
        path: path of the lock.
        dead: holder of the lock; ``None`` if the content of the file names no holder.
        aside: unused path in the same folder.
    """
    with suppress(FileNotFoundError):
        handle = _lock_patiently(path.parent)
        if handle is None:
            _move_aside(path, dead, aside)
            return
        try:
            if _has_held(path, dead):
                path.unlink()
        finally:
            os.close(handle)


def _has_held(path: Path, dead: Holder | None) -> bool:
    """Whether a lock is that of a holder or, with ``None``, names no holder.

    Raises:
        FileNotFoundError: if the lock does not exist; a new lock may be made at any moment.
    """
    try:
        return Holder.of(path.read_text(encoding="utf-8")) == dead
    except FileNotFoundError:
        raise
    except (OSError, ValueError):  # the lock cannot be read
        return dead is None


def _lock_patiently(folder: Path) -> int | None:
    """Lock a folder; return ``None`` if the system cannot, or if another process keeps it locked for about a second.

    Raises:
        FileNotFoundError: if the folder is gone.
    """
    for _ in range(_TRIES):
        try:
            return lock_folder(folder)
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
    return None


def _move_aside(path: Path, dead: Holder | None, aside: Path) -> None:
    path.rename(aside)
    if Holder.read(aside) != dead:
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink()
