"""The holder of a lock file, and how the lock of a process that is gone is removed without harm to that of another."""

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
        host: the name of its computer.
        system: what its number and start hold for: one boot of one computer, and one container of it.
        pid: its number.
        started: when it started, in seconds.
        since: when it took the lock.
        token: what no other holder has.
    """

    host: str
    system: str
    pid: int
    started: float
    since: str
    token: str

    @classmethod
    def this_process(cls) -> "Holder":
        """Return this process, with a new token."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), system_name(), os.getpid(), own_start(), now, secrets.token_hex(8))

    @classmethod
    def read(cls, path: Path) -> "Holder | None":
        """Read who holds a lock; ``None`` if it is not there, or its content is not (yet) that of a lock."""
        try:
            return cls.of(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @classmethod
    def of(cls, text: str) -> "Holder | None":
        """Return who holds a lock of this content; ``None`` if it is not that of a lock."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"

    @property
    def process(self) -> tuple[str, str, int, float]:
        """The marks that no other process has: the same for all locks of one process."""
        return self.host, self.system, self.pid, self.started

    @property
    def is_of_this_system(self) -> bool:
        """Whether this process can ask whether the holder runs."""
        return self.system == system_name()

    @property
    def is_running(self) -> bool:
        """Whether a holder of this system still runs."""
        return is_running(self.pid, self.started)


def lock_of(path: Path) -> Path:
    """Return the place of the lock of a file."""
    return path.with_name(f".{path.name}.lock")


def may_be_lock(name: str) -> bool:
    """Whether a file of this name may be a lock."""
    return name == LOCK_FILE or _LOCKS_OF_FILES.fullmatch(name) is not None


def remove_lock_of(path: Path, dead: Holder | None, aside: Path) -> None:
    """Remove the lock of a process that is gone, unless another has taken the lock meanwhile.

    Whoever removes the lock of another holds the system's lock of the folder: between reading the file and removing it,
    nobody else can have removed it and taken the lock. Where the system has no such locks, the file is moved aside
    first, and put back if it is not the one expected.

    Args:
        path: of the lock.
        dead: who held it; ``None`` if its content says nobody.
        aside: a free name beside it.
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
    """Whether a lock is that of a holder, or of nobody.

    Raises:
        FileNotFoundError: if it is not there; the next moment a new one may be.
    """
    try:
        return Holder.of(path.read_text(encoding="utf-8")) == dead
    except FileNotFoundError:
        raise
    except (OSError, ValueError):  # of which nothing can be read
        return dead is None


def _lock_patiently(folder: Path) -> int | None:
    """Lock a folder; ``None`` if the system cannot, or if somebody else keeps it locked.

    Raises:
        FileNotFoundError: if it is gone.
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
