"""Remove what a start of the annotator created if it is then refused, for example because an option cannot be used."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from promise_seg.annotator.database import DATABASE
from promise_seg.errors import PromiseError

_PARTS = ("", "-wal", "-shm", "-journal")
"""The ends of the names of the files that SQLite keeps for one database."""


@contextmanager
def without_new_folders(folder: Path) -> Iterator[None]:
    """Remove a folder and the folders above it if the block is refused, unless they existed before or hold anything."""
    created = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        yield
    except PromiseError:
        for place in created:
            with suppress(OSError):  # it is not empty, or was never created
                place.rmdir()
        raise


@contextmanager
def without_new_database(folder: Path) -> Iterator[None]:
    """Remove the database of a project if the block is refused, unless it existed before.

    The lock of the folder must be held around the block, and the database be closed at its end.
    """
    is_new = not (folder / DATABASE).exists()
    try:
        yield
    except PromiseError:
        if is_new:
            for part in _PARTS:
                with suppress(OSError):
                    (folder / f"{DATABASE}{part}").unlink(missing_ok=True)
        raise
