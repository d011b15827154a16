"""Replacement of a folder by another, and clearing up after a process that was killed in the middle of it.

Two hidden folders may be next to ``name`` for a moment: ``.name.<token>.new~``, in which the new content is written,
and ``.name.<token>.old~``, to which the present folder is moved if the system cannot exchange two folders in one step.
A writer holds a lock on its new folder. The kernel releases the lock with the process, so a folder that can be locked
has no living writer.
"""

import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_NEW, _OLD = ".new~", ".old~"
_TOKEN = r"\.[0-9a-f]{8}"
_HIDDEN = re.compile(rf"\.(.+){_TOKEN}(?:{re.escape(_NEW)}|{re.escape(_OLD)})", re.DOTALL)
_OLD_OF_BEFORE = r"-[a-z0-9_]{8}-old"  # suffix of folders that promise-seg 0.1 moved aside
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # from Linux's fcntl.h and fs.h
_CANNOT_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.ENOENT})
_TRIES = 3


class Workplace:
    """The hidden folders of one writer, next to the folder ``path`` that it will replace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._name_anew()

    def _name_anew(self) -> None:
        stem = f".{self.path.name}.{secrets.token_hex(4)}"
        self.new, self.old = self.path.with_name(stem + _NEW), self.path.with_name(stem + _OLD)

    def make(self) -> None:
        """Create the new folder and lock it.

        Raises:
            OSError: if the folder cannot be created.
        """
        while True:
            try:
                self.new.mkdir()
                self._lock = lock_folder(self.new)
            except (FileExistsError, FileNotFoundError, BlockingIOError):  # taken, or cleared up before it was locked
                if not self.path.parent.is_dir():
                    raise
                self._name_anew()
            else:
                return

    def swap_in(self) -> None:
        """Replace ``path`` by the new folder; after an error or an interruption the old folder is put back.

        Raises:
            OSError: if the folder cannot be replaced. Then ``old`` exists only if it could not be put back.
        """
        if os.path.lexists(self.path) and _exchange(self.new, self.path):
            return
        for tries_left in reversed(range(_TRIES)):
            try:
                if os.path.lexists(self.path):
                    remove(self.old)  # from an earlier attempt
                    self.path.rename(self.old)
                self.new.rename(self.path)
            except OSError as error:
                self._undo()
                # Another process may have interfered.
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT) or not tries_left:
                    raise
            except BaseException:
                self._undo()
                raise
            else:
                return

    def _undo(self) -> None:
        if os.path.lexists(self.old) and not os.path.lexists(self.path):
            with suppress(OSError):
                self.old.rename(self.path)

    def clear(self) -> None:
        """Remove the hidden folders that are not needed any more, and release the lock."""
        try:
            remove(self.new)
            if os.path.lexists(self.path):
                remove(self.old)
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


def put_back(path: Path) -> None:
    """Put back a folder that a killed process had moved aside and not replaced, unless ``path`` exists."""
    _put_back(path, _leftovers(path, rf"{_TOKEN}{re.escape(_OLD)}|{_OLD_OF_BEFORE}"))


def clear_up(path: Path) -> None:
    """Clear up after processes that were killed while they replaced ``path``; living processes are not disturbed."""
    _put_back(path, _leftovers(path, _TOKEN + re.escape(_OLD)))
    remove_leftovers(path)


def remove_leftovers(path: Path) -> None:
    """Remove the hidden folders of killed processes next to ``path``, except for a folder that must be put back."""
    old_ones = _leftovers(path, _TOKEN + re.escape(_OLD))
    for new in _leftovers(path, _TOKEN + re.escape(_NEW)):
        with _unless_in_use(new, if_unknown=False) as is_free:
            if is_free:
                remove(new)
    if os.path.lexists(path):
        for old in old_ones:
            with _unless_in_use(_new_of(old)) as is_free:
                if is_free:
                    remove(old)


def hidden_place(name: str) -> str | None:
    """Return the name of the folder that a hidden folder of this module belongs to; ``None`` for any other name."""
    found = _HIDDEN.fullmatch(name)
    return found[1] if found else None


def _put_back(path: Path, old_ones: list[Path]) -> None:
    """Rename the newest of some old folders to ``path``, unless that exists or a living process is replacing it."""
    if os.path.lexists(path):
        return
    for old in sorted(old_ones, key=_changed_at, reverse=True):
        with _unless_in_use(_new_of(old)) as is_free, suppress(OSError):
            if is_free:
                old.rename(path)
                return


def _changed_at(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0


def _leftovers(path: Path, pattern: str) -> list[Path]:
    expected = re.compile(rf"\.{re.escape(path.name)}(?:{pattern})")
    try:
        with os.scandir(path.parent) as entries:
            return [path.with_name(entry.name) for entry in entries if expected.fullmatch(entry.name)]
    except (OSError, ValueError):  # no such folder, or not readable: nothing to do
        return []


def _new_of(old: Path) -> Path:
    return old.with_name(old.name.removesuffix(_OLD) + _NEW)


@contextmanager
def _unless_in_use(new: Path, if_unknown: bool = True) -> Iterator[bool]:
    """Yield whether no living process works in a folder ``new``, and keep others out of it during the block.

    Args:
        new: folder that its writer would have locked.
        if_unknown: answer for systems without locks.
    """
    try:
        lock = lock_folder(new)
    except FileNotFoundError:
        yield True
    except OSError:
        yield False
    else:
        try:
            yield if_unknown if lock is None else True
        finally:
            if lock is not None:
                os.close(lock)


def lock_folder(folder: Path) -> int | None:
    """Lock a folder until the returned descriptor is closed; return ``None`` if the system has no such locks.

    Raises:
        BlockingIOError: if another process holds the lock.
        OSError: if the folder cannot be opened, or is gone.
    """
    if sys.platform == "win32":
        return None
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino == folder.lstat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        os.close(handle)
        raise
    except OSError:
        os.close(handle)
        return None
    os.close(handle)
    raise FileNotFoundError(errno.ENOENT, "was replaced", str(folder))


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two files or folders in one step; return ``False`` if the system or the file system cannot do that.

    Raises:
        OSError: if the exchange fails for another reason.
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def remove(path: Path) -> None:
    """Remove a folder with its content, or a file or link; whatever cannot be removed is left."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
