"""Locks of folders and files: only one process at a time trains in a folder, or adds to a file.

A lock is a small file that names its holder. It is created in one step that fails if it exists, which also works on
network file systems, where the system's own locks often do not. The holder renews its modification time every minute.
The lock of a process that was killed is taken over: at once if that process was on this computer, otherwise when the
lock was not renewed for :data:`STALE_SECONDS`. Locks that are not taken over are removed as strays (``strays.py``).
"""

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from promise_seg.errors import PromiseError
from promise_seg.storage.holders import LOCK_FILE, Holder, lock_of, remove_lock_of
from promise_seg.storage.strays import remove_strays, temporary_name

RENEWAL_SECONDS = 60.0
STALE_SECONDS = 600.0
_PATIENCE_SECONDS = 60.0  # longest wait for a lock that is only held for moments
_PAUSE_SECONDS = 0.02
_HAS_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EOPNOTSUPP})


_held = set[str]()
"""The tokens of the locks that this process has, or is about to take."""
_UNKNOWN = Holder("an unknown computer", "", 0, 0.0, "an unknown time", "")


class TakenError(PromiseError):
    """Another process holds a lock."""


def make_once(path: Path, content: str) -> bool:
    """Create a text file with its content unless it exists, in one step, or in two on file systems without hard links.

    Returns:
        Whether the file was created; of several processes, only one gets ``True``.

    Raises:
        PromiseError: if the folder cannot be written.
    """
    written = path.with_name(temporary_name(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(path.parent)
        written.write_text(content, encoding="utf-8")
        try:
            os.link(written, path)
        except OSError as error:
            if error.errno not in _HAS_NO_LINKS:
                raise
            with path.open("x", encoding="utf-8") as file:
                file.write(content)
    except FileExistsError:
        return False
    except OSError as error:
        raise PromiseError(f"{path.parent}: cannot write: {error.strerror}. Choose another place") from error
    finally:
        with suppress(OSError):
            written.unlink()
    return True


class Lock:
    """A lock file.

    Args:
        path: path of the lock file.
        renewed: whether its modification time is renewed while it is held, for work that takes longer than moments.
    """

    def __init__(self, path: Path, *, renewed: bool = False) -> None:
        self.path, self.holder, self._is_renewed = path, Holder.this_process(), renewed
        self._given_back = threading.Event()

    def take(self) -> Holder | None:
        """Take the lock, also from a dead process; return its holder if that may still run, otherwise ``None``.

        Raises:
            PromiseError: if the folder cannot be written.
        """
        _held.add(self.holder.token)
        try:
            holder = self._holder_after_trying()
        except BaseException:
            _held.discard(self.holder.token)
            raise
        if holder is not None:
            _held.discard(self.holder.token)
            return holder
        if self._is_renewed:
            threading.Thread(target=self._renew, daemon=True).start()
        return None

    def _holder_after_trying(self) -> Holder | None:
        while not self._make():
            found = Holder.read(self.path)
            if found == self.holder:  # created, but the file server's answer was lost and the request repeated
                break
            if self._is_alive(found):
                return found or _UNKNOWN
            remove_lock_of(self.path, found, self.path.with_name(temporary_name(self.path.name)))
        return None

    def give_back(self) -> None:
        """Remove the lock if it was not taken over; even if that fails, this process can take it again."""
        self._given_back.set()
        if self.is_held:
            with suppress(OSError):
                self.path.unlink()
        _held.discard(self.holder.token)

    def check(self) -> None:
        """Check that the lock was not taken over, as may happen if this process was suspended for long.

        Raises:
            TakenError: if it was taken over; then this process must not change the files any more.
        """
        if not self.is_held:
            holder = Holder.read(self.path) or "someone"
            raise TakenError(f"{self.path.parent}: {holder} took over. Nothing more is written by this process")

    @property
    def is_held(self) -> bool:
        """Whether this process still holds the lock."""
        return Holder.read(self.path) == self.holder

    def _make(self) -> bool:
        """Create the lock with its content unless it exists; return whether it was created."""
        return make_once(self.path, json.dumps(asdict(self.holder)))

    def _is_alive(self, found: Holder | None) -> bool:
        if found is not None and found.is_of_this_system:
            was_given_back = found.process == self.holder.process and found.token not in _held
            return found.is_running and not was_given_back
        age = self._age()
        return age is not None and age < STALE_SECONDS

    def _age(self) -> float | None:
        """Return the seconds since the lock was renewed, by the file system's clock; ``None`` if the lock is gone."""
        probe = self.path.with_name(temporary_name(""))
        try:
            probe.touch()
            return probe.stat().st_mtime - self.path.stat().st_mtime
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PromiseError(f"{self.path.parent}: cannot write: {error.strerror}. Choose another place") from error
        finally:
            with suppress(OSError):
                probe.unlink()

    def _renew(self) -> None:
        while not self._given_back.wait(RENEWAL_SECONDS):
            if self.is_held:
                with suppress(OSError):
                    os.utime(self.path)


@contextmanager
def alone_in(folder: Path, work: str) -> Iterator[Lock]:
    """Hold the lock of a folder, so that no other process that asks for it works there.

    Args:
        folder: folder to lock; created if it does not exist.
        work: name of the work in the folder, for messages, such as ``training``.

    Raises:
        TakenError: if another process works in the folder.
        PromiseError: if the folder cannot be written.
    """
    is_new = not folder.exists()
    lock = Lock(folder / LOCK_FILE, renewed=True)
    if holder := lock.take():
        raise TakenError(
            f"{folder}: {holder} is {work} here. Wait for it, or choose another -o folder. If that process is gone, "
            f"its lock is taken over within {STALE_SECONDS / 60:.0f} minutes; remove {lock.path} to do so now"
        )
    try:
        yield lock
    finally:
        lock.give_back()
        if is_new:  # removed only if nothing was written into it
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait until no other process changes a file, and hold its lock in the block, which should take only moments.

    Raises:
        TakenError: if the lock is not free within a minute.
        PromiseError: if the folder cannot be written.
    """
    lock = Lock(lock_of(path))
    patience = time.monotonic() + _PATIENCE_SECONDS
    while holder := lock.take():
        if time.monotonic() > patience:
            raise TakenError(f"{path}: is locked by {holder}. Wait for it; if that process is gone, remove {lock.path}")
        time.sleep(_PAUSE_SECONDS)
    try:
        yield
    finally:
        lock.give_back()
