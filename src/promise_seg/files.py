"""Writing files whole or not at all."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from promise_seg.errors import PromiseError

_WRITE_ERRORS = (OSError, SafetensorError)  # safetensors wraps the system's errors in its own


def _explain(error: OSError | SafetensorError, path: Path) -> PromiseError:
    reason = getattr(error, "strerror", None) or str(error)
    is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space" in reason
    way_out = "free space or choose another place" if is_full else "choose another place"
    return PromiseError(f"{path}: cannot write: {reason}. Nothing was changed there; {way_out}.")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it takes the place of ``path``, on failure it is removed.

    The temporary name ends in that of ``path``, as many writers look at suffixes.

    Raises:
        PromiseError: if the system cannot write there (full disk, no permission).
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=f"-{path.name}", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except _WRITE_ERRORS as error:
        raise _explain(error, path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_writable(folder: str | Path) -> None:
    """Make a folder and try to write in it, before long work whose results are to stand there.

    Raises:
        PromiseError: if the system cannot write there.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _explain(error, folder) from error


def write_whole(path: str | Path, write: Callable[[Path], object]) -> None:
    """Call ``write`` with a temporary path, then move the result to ``path``."""
    with replacing(path) as temporary:
        write(temporary)


def write_text(path: str | Path, text: str) -> None:
    write_whole(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON as the standard has it: what is no number must have been left out, or be ``None``."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Like :func:`replacing`, for a folder: either all of its new files are there afterwards, or all the old ones.

    Raises:
        PromiseError: if the system cannot write there.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        old = temporary.with_name(temporary.name + "-old")
        if path.exists():
            path.replace(old)
        temporary.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    except _WRITE_ERRORS as error:
        raise _explain(error, path) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
