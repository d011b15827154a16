"""Harm a command of this process at its n-th change of files: kill it, interrupt it, or let the system refuse.

Changes are seen by an audit hook, so that files are counted whoever opens them in Python. What Python does not see is
counted by replaced functions: ``fsync``, the exchange of two folders, and the writer of safetensors. A write itself is
refused by the system: no file may grow any more.
"""

import errno
import os
import resource
import signal
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What happens at a change of files."""

    KILL = "kill"
    HALF = "half a write, then kill"
    SIGINT = "SIGINT"
    SIGTERM = "SIGTERM"
    ENOSPC = "ENOSPC from then on"
    FULL = "no byte more from then on"
    EIO = "EIO once"
    EACCES = "EACCES once"


_SIGNALS = {Kind.SIGINT: signal.SIGINT, Kind.SIGTERM: signal.SIGTERM}
_ERRORS = {Kind.EIO: errno.EIO, Kind.EACCES: errno.EACCES}
_OPEN, _SYNC = "open", "fsync"
_NEED_SPACE = frozenset({_OPEN, _SYNC, "os.mkdir", "os.link", "os.symlink"})
_FOLDER_AT = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.chmod": 2, "os.rename": 2, "os.link": 2}
"""Where in the arguments of an event the open folder is that its first path is relative to."""
_ALONE = frozenset({"os.symlink", "os.truncate"})
_BYTES_LEFT = 16  # of each file: what is longer is cut there, and the rest refused
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


@dataclass(frozen=True)
class Fault:
    """What happens at which change, counted from 1."""

    kind: Kind
    at: int

    def __str__(self) -> str:
        return f"{self.kind} at change {self.at}"


@dataclass(frozen=True)
class Change:
    """A change of a file in the folder that is watched."""

    what: str
    path: str

    def __str__(self) -> str:
        return f"{self.what} {self.path}"


class Watch:
    """Counts the changes in a folder, and brings about a fault; of this process, to its end.

    Args:
        folder: the folder that is watched.
        fault: what happens when; by default nothing.
    """

    def __init__(self, folder: Path, fault: Fault | None = None) -> None:
        self.folder, self.fault, self.changes = str(folder), fault, list[Change]()
        self._acts = False

    def end(self) -> None:
        """Count no more, and let files grow again."""
        self._acts = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    def begin(self) -> None:
        """Begin to count."""
        from promise_seg.storage import swapping, tensor_files

        sys.addaudithook(self._hear)
        exchange, save_file = swapping._exchange, tensor_files.save_file

        def counted_sync(handle: int) -> None:  # and no waiting for the disk
            self.happens(_SYNC, _name_of(handle))

        def counted_exchange(one: Path, other: Path) -> bool:
            self.happens("exchange", str(other))
            return exchange(one, other)

        def counted_save(tensors, path, metadata=None) -> None:
            self.happens(_OPEN, str(path))
            save_file(tensors, path, metadata=metadata)

        os.fsync, swapping._exchange, tensor_files.save_file = counted_sync, counted_exchange, counted_save

    def _hear(self, event: str, arguments: tuple) -> None:
        if event == _OPEN:
            if isinstance(arguments[2], int) and arguments[2] & _WRITING:
                self.happens(event, arguments[0])
        elif event in _FOLDER_AT:
            self.happens(event, arguments[0], arguments[_FOLDER_AT[event]])
        elif event in _ALONE:
            self.happens(event, arguments[0])

    def happens(self, what: str, path: object, folder: int = -1) -> None:
        """Count a change, and bring about the fault if it is its turn."""
        if self._acts or not isinstance(path, str | bytes | os.PathLike):
            return
        name = os.fsdecode(path)
        if folder != -1 and not name.startswith("/"):
            name = f"{_name_of(folder)}/{name}"
        name = os.path.abspath(name)  # noqa: PTH100
        if name != self.folder and not name.startswith(self.folder + "/"):
            return
        self.changes.append(Change(what, name[len(self.folder) + 1 :]))
        if self.fault is not None:
            self._acts = True
            try:
                self._act(self.fault, what, name)
            finally:
                self._acts = False

    def _act(self, fault: Fault, what: str, name: str) -> None:
        count = len(self.changes)
        if fault.kind == Kind.ENOSPC:
            if count >= fault.at and what in _NEED_SPACE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        elif count == fault.at:
            if fault.kind == Kind.HALF:
                self._halve_the_last()
            if fault.kind in (Kind.HALF, Kind.KILL):
                os.kill(os.getpid(), signal.SIGKILL)
            if fault.kind == Kind.FULL:  # the system refuses what is written, also by libraries that are not Python
                resource.setrlimit(resource.RLIMIT_FSIZE, (_BYTES_LEFT, resource.RLIM_INFINITY))
            if fault.kind in _SIGNALS:
                os.kill(os.getpid(), _SIGNALS[fault.kind])
            if fault.kind in _ERRORS:
                raise OSError(_ERRORS[fault.kind], os.strerror(_ERRORS[fault.kind]), name)

    def _halve_the_last(self) -> None:
        """Leave half of the file that was opened last."""
        path = Path(self.folder) / self.changes[-2].path
        if path.is_file():
            os.truncate(path, path.stat().st_size // 2)


def can_happen(kind: Kind, changes: list[Change], at: int) -> bool:
    """Whether a fault of a kind makes a difference at the change of this number.

    A write can be halved where a file was being written just before. The system can refuse bytes where one is about to
    be written.
    """
    if kind == Kind.HALF:
        return at > 1 and changes[at - 2].what == _OPEN and changes[at - 1].what != _OPEN
    return kind != Kind.FULL or changes[at - 1].what == _OPEN


def _name_of(handle: int) -> str:
    """Return what an open file or folder is called; the system says so on Linux."""
    try:
        return os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115
    except OSError:
        return ""
