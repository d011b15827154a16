"""Paths of files that lie at addresses (``s3://``, ``gs://``, ``https://``): only read, and copied when needed.

Whoever opens such a path, or hands it to a library, gets a copy on this computer, which was fetched whole. A process
keeps its copies in a folder of its own, up to a size, and removes those that were not used for longest; the folder goes
when the process ends. What was fetched again after that must be what it was.
"""

import atexit
import errno
import hashlib
import os
import posixpath
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from promise_seg.errors import PromiseError, SettingsError
from promise_seg.storage.cache_folders import cache_folder
from promise_seg.storage.object_stores import ObjectFolder, ObjectState, address_of, check_address, is_address
from promise_seg.storage.strays import remove_strays, temporary_name
from promise_seg.storage.swapping import remove

_MOST_BYTES = 2 * 2**30  # of copies beyond the last few
_MOST_COPIES = 1000
_LAST_FEW = 8
_FRESH_SECONDS = 600.0
"""How long an object counts as unchanged since it was listed or fetched."""
_LONGEST_END = 100
_Base: Any = Path if TYPE_CHECKING else type(Path())


class RemotePath(_Base):
    """A file at an address. It is a path to all who read it, and prints as the address.

    Its errors are those of files: ``FileNotFoundError``, or another ``OSError`` whose ``strerror`` says why it could
    not be fetched.
    """

    listed: tuple[ObjectState, float] | None = None
    """How the object was when it was listed, and when that was."""

    def __str__(self) -> str:
        if len(self.parts) > 1 and self.parts[0].endswith(":"):
            return f"{self.parts[0]}//{'/'.join(self.parts[1:])}"
        return str(super().__str__())  # a part of one

    def __fspath__(self) -> str:
        """Return the copy on this computer, which is fetched unless it is there.

        Raises:
            OSError: if it cannot be fetched.
        """
        return str(_copies().copy_of(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _with_state, (str(self), _copies().known(str(self)))

    def absolute(self) -> "RemotePath":
        """Return the path itself."""
        return self

    def resolve(self, strict: bool = False) -> "RemotePath":
        """Return the path itself."""
        del strict
        return self

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return the size, and times that are others for another content, without fetching the file."""
        del follow_symlinks
        state = _copies().state_of(self)
        time_ns = int.from_bytes(hashlib.sha256(state.mark.encode()).digest()[:6], "big")
        times = {f"st_{kind}time_ns": time_ns for kind in "amc"}
        seconds = time_ns // 10**9
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, max(state.size, 0), *[seconds] * 3), times)

    def exists(self, **more: Any) -> bool:
        """Whether there is such an object.

        Raises:
            OSError: if the server does not say so.
        """
        del more
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_file(self, **more: Any) -> bool:
        """Whether there is such an object; see :meth:`exists`."""
        return self.exists(**more)

    def is_dir(self, **more: Any) -> bool:
        """No: folders at addresses are listed by :meth:`objects`."""
        del more
        return False

    def is_symlink(self) -> bool:
        """No."""
        return False

    def open(self, mode: str = "r", *arguments: Any, **more: Any) -> Any:
        """Open the copy for reading."""
        if set(mode) & set("wax+"):
            raise OSError(errno.EROFS, "it is at an address, which is only read")
        return Path(os.fspath(self)).open(mode, *arguments, **more)

    def mkdir(self, *arguments: Any, **more: Any) -> None:
        """Refuse, as addresses are only read."""
        del arguments, more
        raise OSError(errno.EROFS, "it is at an address, which is only read")

    def is_prefix(self) -> bool:
        """Whether other objects lie below it, and it is none itself.

        Raises:
            FileNotFoundError: if there is neither.
            OSError: if the server does not say so.
        """
        folder, name = _place_of(self)
        return not name or _as_os_error(lambda: folder.is_folder(name), self)

    def objects(self) -> "Iterator[RemotePath]":
        """Yield the objects below it, at any depth, in the order of their names.

        Raises:
            OSError: if they cannot be listed.
        """
        folder, name = _place_of(self)
        found, now = _as_os_error(lambda: folder.listed(name), self), time.monotonic()
        for below, state in found.items():
            path = self / below
            if str(path) == f"{self}/{below}":  # others cannot be named by a path
                path.listed = state, now
                yield path

    def beside(self, name: str) -> "RemotePath":
        """Return the path that a file in this folder calls by a name.

        Raises:
            SettingsError: if it leads elsewhere.
        """
        kind, root, *names = self.parts
        key = posixpath.normpath(posixpath.join("/".join(names), name))
        if name.startswith("/") or key.split("/")[0] == "..":
            raise SettingsError(f"{name}: leads out of {kind}//{root}. Name files below it, or give whole addresses")
        return remote_path(f"{kind}//{root}/{key}")


def remote_path(address: str) -> RemotePath:
    """Return the path of a file at an address.

    Raises:
        SettingsError: if the address cannot be meant, or the package for its kind is not installed.
    """
    check_address(address, "", is_read=True)
    path = RemotePath(address)
    if ".." in path.parts:
        raise SettingsError(f"{path}: has .. in it. Write the address without")
    _place_of(path)
    return path


def as_path(place: str | Path) -> Path:
    """Return the path of a file or folder of this computer, or of one at an address.

    Raises:
        SettingsError: if an address cannot be meant.
    """
    if isinstance(place, RemotePath) or (address := address_of(place)) is None:
        return place if isinstance(place, Path) else Path(place)
    return remote_path(address)


def folder_of_process(name: str) -> Path:
    """Return a new folder for copies, which the next process removes if this one is killed; it is not made."""
    above = cache_folder("copies-of-objects", "PROMISE_SEG_COPIES")
    remove_strays(above)
    return above / temporary_name(name)


def begin_reading() -> None:
    """Forget what was fetched: what is read from now on may be another content under the same name."""
    _copies().forget()


def _place_of(path: RemotePath) -> tuple[ObjectFolder, str]:
    """Return the bucket or server of a path, and the name of the object there."""
    kind, root, *names = path.parts if len(path.parts) > 1 else ("", "")
    if not is_address(f"{kind}//{root}") or ".." in names:
        raise FileNotFoundError(errno.ENOENT, "it leads out of its address")
    return _root_at(f"{kind}//{root}"), "/".join(names)


@lru_cache(maxsize=64)
def _root_at(address: str) -> ObjectFolder:
    return ObjectFolder(address, "", is_read=True)


def _as_os_error(call: Any, path: RemotePath) -> Any:
    """Call, and turn what a user should know into the error of a file."""
    try:
        return call()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    except PromiseError as error:
        raise OSError(errno.EIO, str(error).removeprefix(f"{path}: ")) from error


def _with_state(address: str, state: ObjectState | None) -> RemotePath:
    """Return a path that another process sent, which must be there what it was for that process."""
    if state is not None:
        _copies().expect(address, state)
    return RemotePath(address)


class _Copy(NamedTuple):
    path: Path
    state: ObjectState
    at: float


class _Copies:
    """The copies of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._expected: dict[str, ObjectState] = {}
        self._folder: Path | None = None
        self._bytes = self._count = 0
        self._process = os.getpid()

    def known(self, name: str) -> ObjectState | None:
        """How an object was when it was fetched first."""
        return self._expected.get(name)

    def expect(self, name: str, state: ObjectState) -> None:
        """Take note how an object must be."""
        self._expected.setdefault(name, state)

    def state_of(self, path: RemotePath) -> ObjectState:
        """Return how an object is, as far as that can have changed lately.

        Raises:
            OSError: if the server does not say so.
        """
        now = time.monotonic()
        with self._lock:
            copy = self._copies.get(str(path))
        if copy is not None and now - copy.at < _FRESH_SECONDS:
            return copy.state
        if path.listed is not None and now - path.listed[1] < _FRESH_SECONDS:
            return path.listed[0]
        folder, name = _place_of(path)
        found: ObjectState = _as_os_error(lambda: folder.state(name), path)
        return found

    def copy_of(self, path: RemotePath) -> Path:
        """Return the copy of an object.

        Raises:
            OSError: if it cannot be fetched, or is another than it was before.
        """
        name = str(path)
        with self._lock:
            fetching = self._fetching.setdefault(name, threading.Lock())
        with fetching:
            with self._lock:
                if (copy := self._copies.get(name)) is not None and copy.path.exists():
                    self._copies.move_to_end(name)
                    return copy.path
            return self._fetched(path, name)

    def _fetched(self, path: RemotePath, name: str) -> Path:
        folder, key = _place_of(path)
        with self._lock:
            self._count += 1
            to = self._own_folder() / f"{self._count}-{path.name[-_LONGEST_END:]}"
        try:
            state: ObjectState = _as_os_error(lambda: folder.fetch(key, to), path)
            if self._expected.setdefault(name, state) != state:
                raise OSError(
                    errno.ESTALE, "it was changed since it was read first. Give the same command again, which begins "
                    "with what is there now"
                )  # fmt: skip
        except BaseException:
            to.unlink(missing_ok=True)
            raise
        with self._lock:
            if name in self._copies:  # somebody removed its file
                self._remove(name)
            self._copies[name] = _Copy(to, state, time.monotonic())
            self._bytes += state.size
            self._fetching.pop(name, None)
            while len(self._copies) > _LAST_FEW and (self._bytes > _MOST_BYTES or len(self._copies) > _MOST_COPIES):
                self._remove(next(iter(self._copies)))
        return to

    def forget(self) -> None:
        """Remove all copies, and forget how objects were."""
        with self._lock:
            for name in list(self._copies):
                self._remove(name)
            self._expected.clear()

    def end(self) -> None:
        """Remove the folder of the copies, if it is that of this process."""
        if self._folder is not None and self._process == os.getpid():
            remove(self._folder)

    def _remove(self, name: str) -> None:
        copy = self._copies.pop(name)
        self._bytes -= copy.state.size
        copy.path.unlink(missing_ok=True)

    def _own_folder(self) -> Path:
        if self._folder is None:
            self._folder = folder_of_process("objects")
            atexit.register(self.end)
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder


_of_processes: dict[int, _Copies] = {}


def _copies() -> _Copies:
    """Return the copies of this process; one that was forked has its own."""
    process = os.getpid()
    if process not in _of_processes:
        _of_processes.setdefault(process, _Copies())
    return _of_processes[process]
