"""Atomic writing of files and folders, which also survives a power cut."""

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
    """The parts of a file that are flushed to the disk before it counts as written."""

    NONE = "none"
    """Nothing: for files that can be made again, and are checked when they are read."""
    FILE = "file"
    """The content: after a power cut there is the old file or the new file. :func:`sync_folder` flushes the name."""
    ALL = "all"
    """The content and the name: after a power cut there is the new file."""


def _explain(error: OSError | SafetensorError, path: Path, aside: Path | None = None) -> PromiseError:
    """Return an error on what failed; ``aside`` is the path of an old folder that could not be put back, if any."""
    number, reason = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
    if number in (errno.ENOTDIR, errno.EEXIST) and (above := [one for one in path.parents if one.is_file()]):
        reason = f"{above[0]} is a file; expected a folder"
    space = "free space or " if number in (errno.ENOSPC, errno.EDQUOT) or "No space" in reason else ""
    way_out = "choose a shorter name" if number == errno.ENAMETOOLONG else f"{space}choose another place"
    if aside is None:
        return PromiseError(f"{path}: cannot write: {reason}. Nothing was changed there; {way_out}.")
    return PromiseError(
        f"{path}: cannot write: {reason}. What was there is unharmed, but is now {aside}: rename it to {path.name}, "
        f"or {way_out}."
    )


@contextmanager
def replacing(path: str | Path, sync: Sync = Sync.ALL) -> Iterator[Path]:
    """Yield a temporary path next to ``path``; on success that file replaces ``path``, on failure it is removed.

    The temporary name ends in the name of ``path``, as many writers depend on the suffix. The file gets the mode of any
    new file in the folder, even if the writer set another mode.

    Args:
        path: path of the file.
        sync: parts of the file that are on the disk when the block has ended.

    Raises:
        PromiseError: if the file cannot be written (full disk, no permission).
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
        with suppress(OSError):  # for example if there is a file in place of the folder
            temporary.unlink()
    if sync == Sync.ALL:
        sync_folder(path.parent)


def _sync_file(path: Path) -> None:
    """Flush the content of a file to the disk.

    Raises:
        OSError: if that fails, for example on a disk that is full or broken.
    """
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Flush the names of the files in a folder to the disk, if the file system supports it.

    Raises:
        PromiseError: if that fails, for example on a broken disk.
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
    """Flush a folder and everything in it to the disk."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            _sync_file(path)
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def _make_file(path: Path) -> int:
    """Create an empty file and return its mode, which is 0666 without the bits of the umask.

    The umask itself cannot be read without setting it, which two threads must not do at the same time.
    """
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def _as_any_other(folder: Path) -> None:
    """Give all files and folders in ``folder`` the modes that the system gives to new files and folders.

    Some libraries choose other modes: safetensors makes files that only their owner can read.
    """
    probe = folder / temporary_name("")
    file_mode, folder_mode = _make_file(probe), stat.S_IMODE(folder.stat().st_mode)
    probe.unlink()
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(folder_mode if path.is_dir() else file_mode)


def check_writable(folder: str | Path) -> None:
    """Create a folder and check that it can be written, before long work whose results go there.

    Raises:
        PromiseError: if the folder cannot be created or written.
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
    """Check that a file can be written, before long work whose results go there; see :func:`check_writable`.

    Raises:
        PromiseError: if its folder cannot be written, the path is that of a folder, or the file is one of the inputs.
    """
    if Path(path).is_dir():
        raise PromiseError(f"{path}: is a folder; expected the name of a file. Choose another one")
    refuse_inputs(path, inputs)
    check_writable(Path(path).parent)


def refuse_inputs(path: str | Path, inputs: Iterable[str | Path]) -> None:
    """Check that an output file does not replace an input file of the same command, even if overwriting is allowed.

    Raises:
        PromiseError: if the path is one of the inputs, also under another name.
    """
    for one in inputs:
        with suppress(OSError, ValueError):  # a file does not exist, or its name is not valid
            if Path(path).samefile(one):
                raise PromiseError(f"{path}: is one of the files that are read, and would be lost. Choose another name")


def write_whole(path: str | Path, write: Callable[[Path], object], sync: Sync = Sync.ALL) -> None:
    """Call ``write`` with a temporary path, then move the result to ``path``; see :func:`replacing`."""
    with replacing(path, sync) as temporary:
        write(temporary)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, completely or not at all; see :func:`replacing`.

    Raises:
        PromiseError: if the file cannot be written, or a file name in the text is not valid UTF-8.
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
    """Write standard JSON, which cannot contain NaN or infinity: replace them by ``None`` before."""
    write_text(path, json_text(value))


def read_json(path: str | Path) -> Any:
    """Read JSON in UTF-8.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is not valid JSON in UTF-8, or is nested too deeply.
    """
    return _decoded(Path(path).read_bytes())


def read_json_object(path: str | Path) -> dict[str, Any]:
    """Read a JSON object; errors are those of :func:`read_json`.

    Raises:
        ValueError: also if the file contains another value than an object.
    """
    return _as_object(read_json(path))


def read_json_lines(
    path: str | Path, opened: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> list[dict[str, Any]]:
    """Read a file with a JSON object in each line; empty lines are skipped.

    Args:
        path: path of the file.
        opened: function that converts each object; if it raises a ``ValueError``, the line counts as invalid.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if a line is invalid; the message begins with its number.
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
    """Return the JSON object in a text in UTF-8.

    Raises:
        ValueError: if the text is not valid JSON, or another value than an object.
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
    """Return the text that :func:`write_json` writes for a value."""
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path for a folder, as :func:`replacing` does: it replaces ``path`` completely or not at all.

    On Linux both folders are exchanged in one step. On other systems the old folder is moved aside first, and put back
    if the next step fails; if the process is killed then, :func:`recover_folder` or the next call puts it back.

    Raises:
        PromiseError: if the folder cannot be written; the message tells if the old folder could not be put back.
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
    """Whether two files have the same bytes, or two folders the same files with the same bytes."""
    if not one.is_dir() or not other.is_dir():
        return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
    names = {path.relative_to(one) for path in one.rglob("*")}
    if names != {path.relative_to(other) for path in other.rglob("*")}:
        return False
    return all(same_content(one / name, other / name) for name in names if not (one / name).is_dir())


@contextmanager
def passing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path`` for a file or folder that is removed at the end."""
    temporary = path.with_name(temporary_name(path.name))
    try:
        yield temporary
    finally:
        remove(temporary)


def discard_folder(folder: Path) -> None:
    """Remove a folder in one step, so that a process that is killed meanwhile does not leave half of it at its path.

    Files that cannot be removed are left as strays of this process. Nothing happens if there is no such folder.

    Raises:
        PromiseError: if the folder cannot be renamed.
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
    """Moves outdated files aside while the files that they belong to are changed; an error moves them back.

    If the process is killed, they are lost, so use this only for files that the same command writes again.
    """

    def __init__(self) -> None:
        self._taken: dict[Path, Path] = {}

    def take(self, paths: Sequence[Path]) -> None:
        """Move those of the files aside that exist.

        Raises:
            OSError: if a file cannot be renamed.
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

    Nothing happens if ``path`` exists, or if no folder was moved aside.
    """
    put_back(Path(path))
