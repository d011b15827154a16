"""Small notes in a feature store, shared by all of its writers: files in its folder, or objects on its server."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from promise_seg.storage.files import object_of
from promise_seg.storage.locks import in_turn, make_once
from promise_seg.storage.object_stores import ObjectFolder
from promise_seg.storage.sealed import opened, read_sealed, sealed, write_sealed


class Notes(Protocol):
    """A few notes by name.

    All methods raise a ``PromiseError`` if the store cannot be read or written.
    """

    place: str
    """The place of the notes, for messages."""

    def first(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        """Write a note unless it exists, and return the existing or new note.

        Raises:
            OSError: if the note cannot be read.
            ValueError: if the note is damaged.
        """

    def add(self, name: str) -> None:
        """Write an empty note."""

    def has(self, name: str) -> bool:
        """Whether there is a note of this name."""

    def remove(self, name: str) -> None:
        """Remove a note, if it is there."""

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Lock a note against other processes for a short time, if possible."""


class FolderNotes:
    """Notes in a folder.

    Args:
        folder: folder of the notes, created with the first note.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.place = folder, str(folder)

    def first(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        """Write a note unless it is there, and return the one that is; see :class:`Notes`."""
        path = self._folder / name
        with self.alone(name):
            if not path.exists():
                write_sealed(path, value)
            return read_sealed(path)

    def add(self, name: str) -> None:
        """Write an empty note."""
        make_once(self._folder / name, "")

    def has(self, name: str) -> bool:
        """Whether there is a note of this name."""
        return (self._folder / name).exists()

    def remove(self, name: str) -> None:
        """Remove a note, if it is there."""
        (self._folder / name).unlink(missing_ok=True)

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Lock a note against other processes for a short time."""
        return in_turn(self._folder / name)


class ObjectNotes:
    """Notes on an object store.

    Args:
        objects: folder on the object store.
        prefix: prefix of the names of the notes in it.
    """

    def __init__(self, objects: ObjectFolder, prefix: str) -> None:
        self._objects, self._prefix, self.place = objects, prefix, f"{objects.address}/{prefix}"

    def first(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        """Write a note unless it is there, and return the one that is; see :class:`Notes`."""
        if (found := self._objects.read(self._path(name))) is None:
            content = json.dumps(sealed(value)).encode()
            self._objects.write(self._path(name), content, only_new=True)
            found = self._objects.read(self._path(name)) or content
        return opened(object_of(found))

    def add(self, name: str) -> None:
        """Write an empty note."""
        self._objects.write(self._path(name), b"")

    def has(self, name: str) -> bool:
        """Whether there is a note of this name."""
        return self._objects.read(self._path(name)) is not None

    def remove(self, name: str) -> None:
        """Remove a note, if it is there."""
        self._objects.remove(self._path(name))

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Do nothing, because object stores have no locks."""
        return nullcontext()

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"
