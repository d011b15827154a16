"""A content-addressed store of encoder features on disk, shared by all runs.

The key of an entry contains everything that changes its numbers, so an entry is never stale, and never conflicts with
entries of other images, SAMs or settings. The folder can be deleted at any time to free space;
:mod:`promise_seg.features.pruning` removes the least recently used entries.
"""

import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from promise_seg.augmentation import AnyView
from promise_seg.errors import PromiseError, SettingsError, first_line
from promise_seg.features.notes import FolderNotes, Notes
from promise_seg.features.precision import HALF, belongs_to, packed, rounded, unpacked
from promise_seg.images.geometry import Box
from promise_seg.sam.features import ALL_STAGES, STAGES, Features
from promise_seg.storage.cache_folders import cache_folder
from promise_seg.storage.files import Sync
from promise_seg.storage.object_stores import is_address
from promise_seg.storage.strays import remove_strays, renewed, temporary_name
from promise_seg.storage.tensor_files import DamagedError, load_tensors, save_tensors, tensor_names
from promise_seg.vocabulary import Fit, StorePrecision

_MAY_NOT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_USE_SECONDS = 600.0  # the resolution of the time of the last use
IN_USE = "in-use"
"""The suffix of the files by which processes mark a store as in use."""
_NEEDS_A_FOLDER = "is the address of an object store; expected a folder for this command. Give --store FOLDER"
_LOG = logging.getLogger(__name__)

FORMAT_VERSION = 2
"""The version of the format; raise it when the same file, geometry and view would give other pixels."""
PRECISION = HALF


def default_store_folder() -> Path:
    """Return ``$PROMISE_SEG_STORE``, or a folder in the user's cache directory.

    Raises:
        SettingsError: if the variable is the address of an object store, because a folder is needed.
    """
    if is_address(os.environ.get("PROMISE_SEG_STORE")):
        raise SettingsError(f"PROMISE_SEG_STORE {_NEEDS_A_FOLDER}")
    return cache_folder("features", "PROMISE_SEG_STORE")


def store_folder(folder: str | Path | None) -> Path:
    """Return the folder of a store named by the user, by default that of the user's own store.

    Raises:
        SettingsError: if it is the address of an object store.
    """
    if folder is None:
        return default_store_folder()
    if is_address(str(folder)):
        raise SettingsError(f"--store {_NEEDS_A_FOLDER}")
    return Path(folder)


@dataclass(frozen=True)
class FeatureKey:
    """Everything that an entry depends on: the content of the image, the geometry, the view and the SAM.

    ``tile`` is the part of the image that was encoded as a separate image; ``crop`` is in the frame of the tile.
    ``made_at`` is the side of the frame in which a view was made, for views whose effect depends on it.
    """

    image_sha256: str
    fit: Fit
    side: int
    view: AnyView
    sam_sha256: str
    crop: Box | None = None
    tile: Box | None = None
    made_at: int | None = None

    def digest(self, precision: StorePrecision = StorePrecision.FP16) -> str:
        """Return the hash of everything that changes the features: the name of the entry."""
        parts: list[object] = [
            FORMAT_VERSION,
            self.image_sha256,
            str(self.fit),
            self.side,
            self.view.as_key(),
            self.sam_sha256,
            str(PRECISION) if precision == StorePrecision.FP16 else str(precision),
        ]
        if self.crop is not None:  # entries of uncropped images keep their keys
            parts.append({"crop": list(self.crop)})
        if self.tile is not None:
            parts.append({"tile": list(self.tile)})
        if self.made_at is not None:
            parts.append({"made_at": self.made_at})
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class FeatureStore:
    """A store of features of single images by key, safe for several processes: entries are written atomically.

    An entry holds the embedding and the stages of the encoder that were requested so far. Files are memory-mapped:
    parts of an entry that are not requested are not read again once its hash was checked.

    Args:
        folder: folder of the store; by default that of the user's own store.
        precision: precision in which features are stored, and returned whether they were stored or not. A store of 8
            bits also reads entries in half precision.

    Raises:
        SettingsError: if ``folder`` is the address of an object store.
    """

    def __init__(self, folder: str | Path | None = None, precision: StorePrecision | str = StorePrecision.FP16) -> None:
        self.folder = store_folder(folder)
        self.precision = StorePrecision(precision)
        self._checked: dict[Path, tuple[int, int, int]] = {}
        self._has_warned = False

    def _warn_once(self, words: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _LOG.warning("%s. Such images are encoded whenever they are needed; name another --store", words)

    @property
    def place(self) -> str:
        """The folder by which a user names the store."""
        return str(self.folder)

    def path(self, key: FeatureKey, precision: StorePrecision | None = None) -> Path:
        """Return the path of the features of a key, which may not exist yet."""
        digest = key.digest(precision or self.precision)
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def __contains__(self, key: FeatureKey) -> bool:
        return self.has(key, ())

    def has(self, key: FeatureKey, stages: Collection[int] = ALL_STAGES) -> bool:
        """Whether there is an entry with these stages; its content is not checked."""
        return any(self._has_file(path, stages) for path in self._paths(key))

    def _paths(self, key: FeatureKey) -> list[Path]:
        """Return the paths where the features of a key may be, the best first."""
        return list(dict.fromkeys([self.path(key), self.path(key, StorePrecision.FP16)]))

    @staticmethod
    def _has_file(path: Path, stages: Collection[int]) -> bool:
        try:
            return has_stages(tensor_names(path), stages)
        except (OSError, SafetensorError):
            return False

    def rounded(self, features: Features) -> Features:
        """Return features as they are read back from this store."""
        return rounded(features, self.precision)

    def put(self, key: FeatureKey, features: Features) -> None:
        """Store the features of one image, batch size 1; other stages that are already stored are kept.

        Without permission to write, as in a store of another user, nothing is stored, and a warning is logged.

        Raises:
            PromiseError: if the features cannot be written for another reason, such as a full disk.
        """
        tensors = packed(features, self.precision)
        path = self.path(key)
        with suppress(OSError, SafetensorError, DamagedError):
            tensors |= _others(load_tensors(path).tensors, tensors)
        facts = {"network": key.sam_sha256, "side": str(key.side), "precision": str(self.precision)}
        try:
            save_tensors(path, tensors, facts, sync=Sync.NONE)  # a damaged entry is noticed and made again
        except PromiseError as error:
            number = getattr(error.__cause__, "errno", None)
            if number in _IS_FULL or "No space" in str(error):
                raise PromiseError(
                    f"{first_line(error)}; promise features prune removes the entries that were unused for longest, "
                    f"and --store-precision {StorePrecision.INT8} needs half of the space"
                ) from error
            if number not in _MAY_NOT:
                raise
            self._warn_once(f"{self.folder}: features cannot be stored here: {first_line(error)}")

    def get(self, key: FeatureKey, stages: Collection[int] = ALL_STAGES) -> Features | None:
        """Return the features of one image, batch size 1, float32; ``None`` if they are missing or damaged.

        An entry is compared with its hash when it is first read, and again when its file has changed. A damaged entry
        is logged as a warning, and replaced when the image is encoded again.

        Args:
            key: key of the features.
            stages: the requested stages of the encoder; an entry that lacks one counts as missing.
        """
        path = self.path(key)
        if found := self._read(path, stages):
            return found
        half = self.path(key, StorePrecision.FP16)
        found = None if half == path else self._read(half, stages)
        return None if found is None else self.rounded(found)

    def _read(self, path: Path, stages: Collection[int]) -> Features | None:
        try:
            found = path.stat()
            state = found.st_ino, found.st_size, found.st_mtime_ns
            tensors = load_tensors(path, check=self._checked.get(path) != state).tensors
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            self._warn_once(f"{path}: stored features cannot be read: {error.strerror}")
            return None
        except (SafetensorError, DamagedError) as error:
            _LOG.warning("%s: damaged, so the image is encoded anew: %s", path, first_line(error))
            return None
        self._checked[path] = state
        if not tensors or not has_stages(tensors, stages):
            return None
        _note_use(path, found)
        return unpacked(_with_stages(tensors, stages))

    def note_use(self, key: FeatureKey) -> None:
        """Record that an entry is about to be used, so that it is not the first to be removed."""
        for path in self._paths(key):
            with suppress(OSError):
                _note_use(path, path.stat())

    def notes(self, name: str) -> Notes:
        """Return the notes on some work, which all processes that write into the store share."""
        return FolderNotes(self.folder / "parts" / name)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Mark the store as in use: entries that this process uses in this context are not removed by others."""
        mark = self.folder / temporary_name(IN_USE)
        with suppress(OSError):  # without permission to write, nothing can be removed
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_strays(self.folder)
            mark.touch()
            mark.write_text(repr(mark.stat().st_mtime), encoding="ascii")
        with renewed(mark):
            yield


def work_began(folder: Path) -> float | None:
    """Return when the first of the processes that use a store began, in seconds since 1970; ``None`` if none do."""
    found = []
    for mark in folder.glob(f".*~{IN_USE}"):
        try:
            found.append(float(mark.read_text(encoding="ascii") or mark.stat().st_mtime))
        except (OSError, ValueError):  # the process ended meanwhile
            continue
    return min(found, default=None)


def _note_use(path: Path, found: os.stat_result) -> None:
    """Set the time of a file's last use, but not its modification time, which would require a check of its hash."""
    now = time.time()
    if now - found.st_atime > _USE_SECONDS:
        with suppress(OSError):
            os.utime(path, ns=(int(now * 1e9), found.st_mtime_ns))


def has_stages(names: Collection[str], stages: Collection[int]) -> bool:
    """Whether an entry with these names of tensors has the stages; false without any tensors."""
    if not names:
        return False
    return STAGES in names or all(f"stage_{number}" in names for number in stages)


def _with_stages(tensors: Mapping[str, Tensor], stages: Collection[int]) -> dict[str, Tensor]:
    """Return some of the stages of an entry, and all of its other tensors."""
    if STAGES in tensors:  # only in entries of half precision
        batch = Features({name: tensor[None] for name, tensor in tensors.items()}).with_stages(stages)
        return {name: tensor[0] for name, tensor in batch.tensors.items()}
    unwanted = {f"stage_{number}" for number in ALL_STAGES} - {f"stage_{number}" for number in stages}
    return {name: tensor for name, tensor in tensors.items() if belongs_to(name) not in unwanted}


def _others(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the stages of an old entry that a new one lacks."""
    if STAGES in new:
        return {}
    return {name: tensor for name, tensor in old.items() if name not in new and name.startswith("stage")}
