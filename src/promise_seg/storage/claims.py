"""Claims on items of work that several processes share: each item is done by one of them at a time.

A claim is a lock file (``locks.py``): it is created in one step that fails if it exists, also on network file systems.
Claims of killed processes are taken over: at once if the process was on this computer, otherwise after ten minutes.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promise_seg.storage.holders import Holder, lock_of, remove_lock_of
from promise_seg.storage.locks import STALE_SECONDS, Lock
from promise_seg.storage.strays import remove_strays, temporary_name

_LOOKS = 4
"""How often a claim of another process is only read before it is checked again whether that process is gone."""


class Claims:
    """The claims of this process in a folder, by the names of items.

    Args:
        folder: folder that all processes share; created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, Lock] = {}
        self._looks: dict[str, int] = {}  # how often each claim of another process is still only read

    def path(self, name: str) -> Path:
        """Return the path of the claim on an item, which exists while the item is claimed."""
        return lock_of(self.folder / hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:32])

    def take(self, name: str) -> Holder | None:
        """Claim an item; return the holder of the claim if it is another process that still runs, otherwise ``None``.

        Most repeated calls for the same item only read the claim of the other process, and write nothing.

        Raises:
            PromiseError: if the folder cannot be written.
        """
        if self._looks.get(name) and (found := Holder.read(self.path(name))) is not None:
            self._looks[name] -= 1
            if not found.is_of_this_system or found.is_running:
                return found
        self._looks.pop(name, None)
        lock = Lock(self.path(name), renewed=True)
        if (holder := lock.take()) is None:
            self._held[name] = lock
        else:
            self._looks[name] = _LOOKS
        return holder

    def is_held(self, name: str) -> bool:
        """Whether an item is still claimed by this process, even after it was suspended for long."""
        return name in self._held and self._held[name].is_held

    def give_back(self, name: str) -> None:
        """End a claim, if there is one."""
        if lock := self._held.pop(name, None):
            lock.give_back()

    def end_of(self, name: str, process: Holder) -> None:
        """End the claim of another process, on any computer, that is known to be dead; claims of others are kept."""
        path = self.path(name)
        found = Holder.read(path)
        if found is not None and found.process == process.process:
            remove_lock_of(path, found, path.with_name(temporary_name(path.name)))

    @contextmanager
    def ending(self) -> Iterator[None]:
        """End all claims when the block ends, however it ends; remove the claims of killed processes at the start."""
        remove_strays(self.folder)
        try:
            yield
        finally:
            for name in list(self._held):
                self.give_back(name)


def holders_of_claims(folder: Path) -> Iterator[Holder]:
    """Yield the holders of the claims in a folder whose processes may still run; nothing is changed."""
    now = time.time()
    for path in folder.glob(lock_of(Path("*")).name):
        try:
            is_old = now - path.stat().st_mtime > STALE_SECONDS
        except OSError:  # the claim ended meanwhile
            continue
        holder = Holder.read(path)
        if holder is not None and (holder.is_running if holder.is_of_this_system else not is_old):
            yield holder
