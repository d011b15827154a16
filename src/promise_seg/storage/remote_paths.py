"""Read-only paths of files at addresses (``s3://``, ``gs://``, ``https://``), which are downloaded when needed.

Opening such a path, or passing it to a library, gives a complete copy on this computer. A process keeps its copies in a
folder of its own, up to a total size, and removes the least recently used copies first; the folder is removed when the
process ends. A file that is downloaded again must not have changed since.
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

_MOST_BYTES = 2 * 2**30  # limit for all copies; the last few are kept in any case
_MOST_COPIES = 1000
_LAST_FEW = 8
_FRESH_SECONDS = 600.0
"""How long an object counts as unchanged after it was listed or downloaded."""
_LONGEST_END = 100
_Base: Any = Path if TYPE_CHECKING else type(Path())


class RemotePath(_Base):
    """A file at an address, which can be read like any path, and is printed as the address.

    Its errors are those of files: ``FileNotFoundError``, or another ``OSError`` whose ``strerror`` explains why it
    could not be downloaded.
    """

    listed: tuple[ObjectState, float] | None = None
    """The state of the object when it was listed, and the time of listing on the monotonic clock."""

    def __str__(self) -> str:
        if len(self.parts) > 1 and self.parts[0].endswith(":"):
            return f"{self.parts[0]}//{'/'.join(self.parts[1:])}"
        return str(super().__str__())  # a part of an address

    def __fspath__(self) -> str:
        """Return the path of the copy on this computer, which is downloaded unless it exists.

        Raises:
            OSError: if the file cannot be downloaded.
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
        """Return the size, and artificial times that change with the content, without downloading the file."""
        del follow_symlinks
        state = _copies().state_of(self)
        time_ns = int.from_bytes(hashlib.sha256(state.mark.encode()).digest()[:6], "big")
        times = {f"st_{kind}time_ns": time_ns for kind in "amc"}
        seconds = time_ns // 10**9
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, max(state.size, 0), *[seconds] * 3), times)

    def exists(self, **more: Any) -> bool:
        """Whether there is such an object.

        Raises:
            OSError: if the server gives no usable answer.
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
        """Whether this is a folder: always false; folders at addresses are listed with :meth:`objects`."""
        del more
        return False

    def is_symlink(self) -> bool:
        """Whether this is a symbolic link: always false."""
        return False

    def open(self, mode: str = "r", *arguments: Any, **more: Any) -> Any:
        """Open the copy for reading.

        Raises:
            OSError: if the mode is for writing, or the file cannot be downloaded.
        """
        if set(mode) & set("wax+"):
            raise OSError(errno.EROFS, "it is at an address, which is only read")
        return Path(os.fspath(self)).open(mode, *arguments, **more)

    def mkdir(self, *arguments: Any, **more: Any) -> None:
        """Raise an ``OSError``, as addresses are only read."""
        del arguments, more
        raise OSError(errno.EROFS, "it is at an address, which is only read")

    def is_prefix(self) -> bool:
        """Whether this is a folder, with objects below it, and not an object itself.

        Raises:
            FileNotFoundError: if it is neither a folder nor an object.
            OSError: if the server gives no usable answer.
        """
        folder, name = _place_of(self)
        return not name or _as_os_error(lambda: folder.is_folder(name), self)

    def objects(self) -> "Iterator[RemotePath]":
        """Yield the objects below this path, at any depth, in the order of their names.

        Raises:
            OSError: if the objects cannot be listed.
        """
        folder, name = _place_of(self)
        found, now = _as_os_error(lambda: folder.listed(name), self), time.monotonic()
        for below, state in found.items():
            path = self / below
            if str(path) == f"{self}/{below}":  # other names cannot be expressed as a path
                path.listed = state, now
                yield path

    def beside(self, name: str) -> "RemotePath":
        """Return the path of a file that is named relative to this folder.

        Raises:
            SettingsError: if the name is absolute, or leads out of the bucket or server.
        """
        kind, root, *names = self.parts
        key = posixpath.normpath(posixpath.join("/".join(names), name))
        if name.startswith("/") or key.split("/")[0] == "..":
            raise SettingsError(f"{name}: is outside of {kind}//{root}. Give paths below it, or complete addresses")
        return remote_path(f"{kind}//{root}/{key}")


def remote_path(address: str) -> RemotePath:
    """Return the path of a file at an address.

    Raises:
        SettingsError: if the address is invalid, or the package for its kind is not installed.
    """
    check_address(address, "", is_read=True)
    path = RemotePath(address)
    if ".." in path.parts:
        raise SettingsError(f"{path}: contains ..; expected an address without it. Write out the path")
    _place_of(path)
    return path


def as_path(place: str | Path) -> Path:
    """Return the path of a file or folder, on this computer or at an address.

    Raises:
        SettingsError: if an address is invalid, or the package for its kind is not installed.
    """
    if isinstance(place, RemotePath) or (address := address_of(place)) is None:
        return place if isinstance(place, Path) else Path(place)
    return remote_path(address)


def folder_of_process(name: str) -> Path:
    """Return the path of a new folder for copies, not yet made; the next process removes it if this one is killed."""
    above = cache_folder("copies-of-objects", "PROMISE_SEG_COPIES")
    remove_strays(above)
    return above / temporary_name(name)


def begin_reading() -> None:
    """Forget downloaded files, so that files that are read from now on may have changed since."""
    _copies().forget()


def _place_of(path: RemotePath) -> tuple[ObjectFolder, str]:
    """Return the bucket or server of a path, and the name of the object there.

    Raises:
        FileNotFoundError: if the path is not an address, or leads out of it.
    """
    kind, root, *names = path.parts if len(path.parts) > 1 else ("", "")
    if not is_address(f"{kind}//{root}") or ".." in names:
        raise FileNotFoundError(errno.ENOENT, "the path leads out of its bucket or server")
    return _root_at(f"{kind}//{root}"), "/".join(names)


@lru_cache(maxsize=64)
def _root_at(address: str) -> ObjectFolder:
    return ObjectFolder(address, "", is_read=True)


def _as_os_error(call: Any, path: RemotePath) -> Any:
    """Make a call, and convert errors for users to those of files."""
    try:
        return call()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    except PromiseError as error:
        raise OSError(errno.EIO, str(error).removeprefix(f"{path}: ")) from error


def _with_state(address: str, state: ObjectState | None) -> RemotePath:
    """Return a path that another process sent; the object must have the same state as in that process."""
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
        """Return the state that an object had when it was first downloaded; ``None`` if it was not yet."""
        return self._expected.get(name)

    def expect(self, name: str, state: ObjectState) -> None:
        """Record the state that an object must have, unless one is known."""
        self._expected.setdefault(name, state)

    def state_of(self, path: RemotePath) -> ObjectState:
        """Return the state of an object, from the server unless it was listed or downloaded recently.

        Raises:
            OSError: if the server gives no usable answer.
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
        """Return the path of the copy of an object.

        Raises:
            OSError: if the object cannot be downloaded, or has changed since it was first read.
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
            if name in self._copies:  # the file was removed by another program
                self._remove(name)
            self._copies[name] = _Copy(to, state, time.monotonic())
            self._bytes += state.size
            self._fetching.pop(name, None)
            while len(self._copies) > _LAST_FEW and (self._bytes > _MOST_BYTES or len(self._copies) > _MOST_COPIES):
                self._remove(next(iter(self._copies)))
        return to

    def forget(self) -> None:
        """Remove all copies, and forget the states of objects."""
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
    """Return the copies of this process; a forked process has copies of its own."""
    process = os.getpid()
    if process not in _of_processes:
        _of_processes.setdefault(process, _Copies())
    return _of_processes[process]
