"""A feature store on an object store, for computers without a shared file system.

Its objects have the names and the content of the files of a store in a folder. Their names depend on everything that
determines their content, and they are written atomically, so several computers may write the same object. Objects that
were read or written are also kept in a folder on this computer, and are not transferred again.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Collection
from pathlib import Path

from promise_seg.errors import PromiseError
from promise_seg.features.notes import Notes, ObjectNotes
from promise_seg.features.store import FeatureKey, FeatureStore, has_stages
from promise_seg.sam.features import ALL_STAGES, Features
from promise_seg.storage.cache_folders import cache_folder
from promise_seg.storage.files import Sync, write_whole
from promise_seg.storage.object_stores import ObjectFolder, is_address
from promise_seg.storage.tensor_files import tensor_names
from promise_seg.vocabulary import StorePrecision

_OPTION = "--store"
_MARKER, _MARKED = "promise-store.json", b'{"format": "promise-seg features"}\n'
_HEAD_BYTES = 8192
_ABSENT_SECONDS = 60.0
"""The time for which an object that was missing counts as new; the server checks this if it can."""
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header
_LARGEST_HEADER = 2**24


def open_store(store: str | Path | None, precision: StorePrecision | str = StorePrecision.FP16) -> FeatureStore:
    """Return the feature store in a folder or on an object store; by default, the user's store.

    Raises:
        PromiseError: if an address is invalid, or the store there cannot be written.
    """
    named = os.environ.get("PROMISE_SEG_STORE") if store is None else store
    if named is not None and is_address(str(named)):
        return RemoteFeatureStore(str(named), precision)
    return FeatureStore(store, precision)


def folder_of_copies(address: str) -> Path:
    """Return the folder on this computer with the entries that were read from, or written to, a store at an address."""
    digest = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]
    return cache_folder("copies-of-features", "PROMISE_SEG_COPIES") / digest


class RemoteFeatureStore(FeatureStore):
    """A store of features on an object store; see :class:`~promise_seg.features.store.FeatureStore`.

    Args:
        address: address such as ``s3://bucket/prefix``.
        precision: precision of the stored features.

    Raises:
        PromiseError: if the address is invalid, or the store there cannot be written.
    """

    def __init__(self, address: str, precision: StorePrecision | str = StorePrecision.FP16) -> None:
        self.objects = ObjectFolder(address, _OPTION)
        super().__init__(folder_of_copies(address), precision)
        self.objects.check(_MARKER, _MARKED)
        self._names: dict[str, frozenset[str]] = {}
        self._absent: dict[str, float] = {}  # when an object was last found to be missing

    @property
    def place(self) -> str:
        """The address by which a user names the store."""
        return self.objects.address

    def notes(self, name: str) -> Notes:
        """Return the notes on some work, which are on the object store as well."""
        return ObjectNotes(self.objects, f"parts/{name}")

    def has(self, key: FeatureKey, stages: Collection[int] = ALL_STAGES) -> bool:
        """Whether there is an entry with these stages on the object store; a local copy alone does not count.

        Raises:
            PromiseError: if the server does not answer.
        """
        return any(has_stages(self._names_in(path), stages) for path in self._paths(key))

    def put(self, key: FeatureKey, features: Features) -> None:
        """Store the features of one image, batch size 1; see the base class.

        Raises:
            PromiseError: if the features cannot be written, locally or on the object store.
        """
        path = self.path(key)
        missed = self._absent.pop(_object_of(path), -math.inf)
        is_new = time.monotonic() - missed < _ABSENT_SECONDS or not self._names_in(path)
        if not is_new:
            self._fetch(path)  # because its stages are kept
        super().put(key, features)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PromiseError(
                f"{path}: cannot be read: {error.strerror}. Free space, or set PROMISE_SEG_COPIES"
            ) from error
        if not self.objects.write(_object_of(path), content, only_new=is_new):
            self._names.pop(_object_of(path), None)  # another process was faster
            if not self._names_in(path) >= tensor_names(path):
                self._fetch(path)
                super().put(key, features)
                self.objects.write(_object_of(path), path.read_bytes())
        self._names[_object_of(path)] = tensor_names(path)

    def _read(self, path: Path, stages: Collection[int]) -> Features | None:
        found = super()._read(path, stages)
        if found is None and has_stages(self._names_in(path), stages) and self._fetch(path):
            found = super()._read(path, stages)
        return found

    def _names_in(self, path: Path) -> frozenset[str]:
        """Return the names of the tensors of an entry, from its first bytes; empty if the entry is missing."""
        name = _object_of(path)
        if known := self._names.get(name):
            return known
        head = self.objects.read(name, _HEAD_BYTES)
        if head is None:
            self._absent[name] = time.monotonic()
            return frozenset()
        if len(head) < _LENGTH_BYTES:
            return frozenset()
        end = _LENGTH_BYTES + int.from_bytes(head[:_LENGTH_BYTES], "little")
        if end > _LARGEST_HEADER:
            return frozenset()
        if end > len(head):
            head = self.objects.read(name, end) or b""
        try:
            found = frozenset(json.loads(head[_LENGTH_BYTES:end])) - {"__metadata__"}
        except (ValueError, TypeError):
            return frozenset()
        self._names[name] = found
        return found

    def _fetch(self, path: Path) -> bool:
        """Copy an entry to this computer atomically; return whether it exists on the object store."""
        content = self.objects.read(_object_of(path))
        if content is None:
            self._names.pop(_object_of(path), None)
            return False
        write_whole(path, lambda temporary: temporary.write_bytes(content), Sync.NONE)  # as in any store of features
        return True


def _object_of(path: Path) -> str:
    """Return the name of the object of an entry: its path in a store in a folder."""
    return f"{path.parent.name}/{path.name}"
