"""Check whether files have changed, fast enough for millions of them."""

import contextlib
import os
from collections.abc import Iterator, Sequence

_BY_FOLDER = os.stat in os.supports_dir_fd and hasattr(os, "O_PATH")
_FEW = 4  # the number of files from which opening their folder is worth it


def have_states(folder: bytes, names: Sequence[bytes], sizes: Sequence[int], changes: Sequence[int]) -> list[bool]:
    """Return for each of N files in a folder whether its size and modification time are the given ones.

    Args:
        folder: path of the folder, ending with a separator.
        names: names of the files.
        sizes: sizes in bytes.
        changes: modification times in nanoseconds since 1970.
    """
    are_as_then = list[bool]()
    with _opened(folder, len(names)) as place:
        before = folder if place is None else b""
        for name, size, change in zip(names, sizes, changes, strict=True):
            try:
                found = os.stat(before + name, dir_fd=place)
                are_as_then.append(found.st_size == size and found.st_mtime_ns == change)
            except (OSError, ValueError):
                are_as_then.append(False)
    return are_as_then


@contextlib.contextmanager
def _opened(folder: bytes, files: int) -> Iterator[int | None]:
    """Open a folder so that its path is resolved once for many files; yield ``None`` if this is not possible."""
    number = None
    if _BY_FOLDER and files >= _FEW:
        with contextlib.suppress(OSError):
            number = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield number
    finally:
        if number is not None:
            os.close(number)
