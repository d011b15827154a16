"""Writing files whole or not at all, and so that a power cut does not take them back."""

import errno
import filecmp
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError

from promise_seg.errors import PromiseError
from promise_seg.storage.strays import remove_strays, temporary_name
from promise_seg.storage.swapping import Workplace, clear_up, put_back, remove

_SHOWN = 40
_WRITE_ERRORS = (OSError, SafetensorError)  # safetensors wraps the system's errors in its own
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES, errno.EPERM})


class Sync(Enum):
    """How far the system is asked to bring a file to the disk before it is said to be written."""

    NONE = "none"
    """Not at all: for what can be made again, and is checked when it is read."""
    FILE = "file"
    """Its content: after a power cut there is the old file or the new one. :func:`sync_folder` completes it."""
    ALL = "all"
    """Its content and its name: after a power cut there is the new file."""


def _explain(error: OSError | SafetensorError, path: Path, aside: Path | None = None) -> PromiseError:
    """Say what failed and what is there now; ``aside`` is where the old folder is that could not be put back."""
    reason = getattr(error, "strerror", None) or str(error)
    is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space" in reason
    way_out = "free space or choose another place" if is_full else "choose another place"
    if getattr(error, "errno", None) == errno.ENAMETOOLONG:
        way_out = "choose a shorter name"
    if aside is None:
        return PromiseError(f"{path}: cannot write: {reason}. Nothing was changed there; {way_out}.")
    return PromiseError(
        f"{path}: cannot write: {reason}. What was there is unharmed, but is now {aside}: rename it to {path.name}, "
        f"or {way_out}."
    )


@contextmanager
def replacing(path: str | Path, sync: Sync = Sync.ALL) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it takes the place of ``path``, on failure it is removed.

    The temporary name ends in that of ``path``, as many writers look at suffixes. The file has the mode that any new
    file has there, whatever the writer made of it.

    Args:
        path: of the file.
        sync: how much of it is on the disk when this ends.

    Raises:
        PromiseError: if the system cannot write there (full disk, no permission).
    """
    path = Path(path)
    temporary = path.with_name(temporary_name(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(path.parent)
        mode = _make_file(temporary)
        yield temporary
        temporary.chmod(mode)
        if sync != Sync.NONE:
            _sync_file(temporary)
        temporary.replace(path)
    except _WRITE_ERRORS as error:
        raise _explain(error, path) from error
    finally:
        with suppress(OSError):  # as where there is a file in the place of the folder
            temporary.unlink()
    if sync == Sync.ALL:
        sync_folder(path.parent)


def _sync_file(path: Path) -> None:
    """Bring the content of a file to the disk.

    Raises:
        OSError: if that fails, as on a disk that is full or broken.
    """
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Bring to the disk what the files in a folder are called, where the file system can do that.

    Raises:
        PromiseError: if it fails, as on a broken disk.
    """
    if sys.platform == "win32":
        return
    try:
        _sync_file(folder)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise PromiseError(
                f"{folder}: files were written, but the system could not bring them to the disk: {error.strerror}. "
                "Check the disk before you rely on them"
            ) from error


def _sync_tree(folder: Path) -> None:
    """Bring a folder to the disk with all that is in it."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            _sync_file(path)
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def _make_file(path: Path) -> int:
    """Make an empty file and return its mode, that is 0666 less the umask.

    The umask itself cannot be read without setting it, which two threads must not do at once.
    """
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def _as_any_other(folder: Path) -> None:
    """Give all files and folders in ``folder`` the modes that the system gives to new ones.

    Libraries choose their own: safetensors makes files that only their owner can read.
    """
    probe = folder / temporary_name("")
    file_mode, folder_mode = _make_file(probe), stat.S_IMODE(folder.stat().st_mode)
    probe.unlink()
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(folder_mode if path.is_dir() else file_mode)


def check_writable(folder: str | Path) -> None:
    """Make a folder and try to write in it, before long work whose results go there.

    Raises:
        PromiseError: if the system cannot write there.
    """
    folder = Path(folder)
    try:
        if folder.is_file():
            raise PromiseError(f"{folder}: is a file; expected a folder. Choose another place")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _explain(error, folder) from error


def check_file_writable(path: str | Path, inputs: Iterable[str | Path] = ()) -> None:
    """Try to write in the folder of a file, before long work whose results go there; see :func:`check_writable`.

    Raises:
        PromiseError: if the system cannot write there, there is a folder of that name, or it is one of the inputs.
    """
    if Path(path).is_dir():
        raise PromiseError(f"{path}: is a folder; expected the name of a file. Choose another one")
    refuse_inputs(path, inputs)
    check_writable(Path(path).parent)


def refuse_inputs(path: str | Path, inputs: Iterable[str | Path]) -> None:
    """Protect the files that a command reads from being replaced by what it writes, also where it may overwrite others.

    Raises:
        PromiseError: if a path is one of the inputs, by whatever name.
    """
    for one in inputs:
        with suppress(OSError, ValueError):  # one of them is not there, or has a name that no file can have
            if Path(path).samefile(one):
                raise PromiseError(f"{path}: is one of the files that are read, and would be lost. Choose another name")


def write_whole(path: str | Path, write: Callable[[Path], object], sync: Sync = Sync.ALL) -> None:
    """Call ``write`` with a temporary path, then move the result to ``path``; see :func:`replacing`."""
    with replacing(path, sync) as temporary:
        write(temporary)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; see :func:`replacing`.

    Raises:
        PromiseError: if the system cannot write there, or a name in the text is not valid UTF-8.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        begin = text.rfind("\n", 0, error.start) + 1
        line = text[max(begin, error.start - _SHOWN) : error.end + _SHOWN].split("\n")[0]
        raise PromiseError(
            f"{path}: cannot be written: a file name has {text[error.start : error.end]!a}, which is not valid "
            f"UTF-8: {line!a}. Rename the file or folder of this name"
        ) from None
    write_whole(path, lambda p: p.write_bytes(encoded))


def write_json(path: str | Path, value: Any) -> None:
    """Write standard JSON: NaN and infinity must have been left out, or replaced by ``None``."""
    write_text(path, json_text(value))


def read_json(path: str | Path) -> Any:
    """Read JSON in UTF-8.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not JSON, also if it is nested too deeply to be.
    """
    return _decoded(Path(path).read_bytes())


def read_json_object(path: str | Path) -> dict[str, Any]:
    """Read a JSON object, as :func:`read_json` does.

    Raises:
        ValueError: also if it is something else.
    """
    return _as_object(read_json(path))


def read_json_lines(
    path: str | Path, opened: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> list[dict[str, Any]]:
    """Read a file with a JSON object in each line; empty lines do not count.

    Args:
        path: of the file.
        opened: called with each object, returns what is meant by it; a ``ValueError`` of it is one of that line.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if a line is something else, with its number.
    """
    found = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        if line.strip():
            try:
                found.append(opened(object_of(line)))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    return found


def object_of(text: bytes) -> dict[str, Any]:
    """Return the JSON object that a text in UTF-8 holds.

    Raises:
        ValueError: if it holds something else.
    """
    return _as_object(_decoded(text))


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8 (byte {error.start})") from error


def _as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"it holds {'null' if value is None else type(value).__name__}, expected an object")
    return value


def json_text(value: Any) -> str:
    """Return what :func:`write_json` writes of a value."""
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Like :func:`replacing`, for a folder: either all of its new files are there afterwards, or all the old ones.

    On Linux the two are exchanged in one step. Elsewhere the old one is moved aside first, and put back if what follows
    fails or is interrupted; after a kill at that moment, :func:`recover_folder` or the next call puts it back.

    Raises:
        PromiseError: if the system cannot write there; it says so if the old folder could not be put back.
    """
    path = Path(path)
    place = Workplace(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(path.parent)
        clear_up(path)
        place.make()
        yield place.new
        _as_any_other(place.new)
        _sync_tree(place.new)
        place.swap_in()
    except _WRITE_ERRORS as error:
        is_aside = os.path.lexists(place.old) and not os.path.lexists(path)
        raise _explain(error, path, place.old if is_aside else None) from error
    finally:
        place.clear()
    sync_folder(path.parent)


def same_content(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes, or two folders the same files."""
    if not one.is_dir() or not other.is_dir():
        return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
    names = {path.relative_to(one) for path in one.rglob("*")}
    if names != {path.relative_to(other) for path in other.rglob("*")}:
        return False
    return all(same_content(one / name, other / name) for name in names if not (one / name).is_dir())


@contextmanager
def passing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` for a file or folder that is removed in the end."""
    temporary = path.with_name(temporary_name(path.name))
    try:
        yield temporary
    finally:
        remove(temporary)


def discard_folder(folder: Path) -> None:
    """Remove a folder in one step: a process that is killed meanwhile does not leave half of it under its name.

    What could not be removed is a stray of this process. Nothing happens if there is no such folder.

    Raises:
        PromiseError: if the system cannot write there.
    """
    aside = folder.with_name(temporary_name(folder.name))
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise PromiseError(
            f"{folder}: cannot be removed: {error.strerror}. Make it writable, and run the same command again"
        ) from error
    remove(aside)


class Aside:
    """Takes files out of the way while others change that they must not be seen with; an error puts them back.

    If the process is killed, they are gone: so it must be files that the same command writes again.
    """

    def __init__(self) -> None:
        self._taken: dict[Path, Path] = {}

    def take(self, paths: Sequence[Path]) -> None:
        """Take those files out of the way that are there.

        Raises:
            OSError: if the system cannot do it.
        """
        for path in paths:
            if path.exists():
                self._taken[path] = path.with_name(temporary_name(path.name))
                path.rename(self._taken[path])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for path, aside in self._taken.items():
            with suppress(OSError):
                if error is not None and not os.path.lexists(path):
                    aside.rename(path)
                else:
                    aside.unlink()


def recover_folder(path: str | Path) -> None:
    """Put back a folder that :func:`replacing_folder` had moved aside when its process was killed.

    Nothing happens if there is a folder at ``path``, or if nothing was moved aside.
    """
    put_back(Path(path))
