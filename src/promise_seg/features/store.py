"""A content-addressed store of encoder features on disk, shared by all runs.

The key of an entry contains everything that changes its numbers, so an entry is never stale, and entries of other
images, SAMs or settings never get in the way. Delete the folder at any time to free space.
"""

import errno
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError

from promise_seg.augmentation import AnyView
from promise_seg.cache_folders import cache_folder
from promise_seg.errors import PromiseError, first_line
from promise_seg.files import Sync
from promise_seg.images.geometry import Box
from promise_seg.sam.features import Features
from promise_seg.tensor_files import DamagedError, load_tensors, save_tensors
from promise_seg.vocabulary import Fit

_MAY_NOT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_LOG = logging.getLogger(__name__)

FORMAT_VERSION = 2
"""The version of the format; raise it when the same file, geometry and view would give other pixels."""
PRECISION = torch.float16
"""The precision to which features are rounded wherever they are used, to be identical if stored or fresh."""


def default_store_folder() -> Path:
    """Return ``$PROMISE_SEG_STORE``, or a folder in the user's cache directory."""
    return cache_folder("features", "PROMISE_SEG_STORE")


@dataclass(frozen=True)
class FeatureKey:
    """Everything that an entry depends on: the content of the image, the geometry, the view and the SAM."""

    image_sha256: str
    fit: Fit
    side: int
    view: AnyView
    sam_sha256: str
    crop: Box | None = None

    def digest(self) -> str:
        """Return the hash of everything that changes the features: the name of the entry."""
        parts: list[object] = [
            FORMAT_VERSION,
            self.image_sha256,
            str(self.fit),
            self.side,
            self.view.as_key(),
            self.sam_sha256,
            str(PRECISION),
        ]
        if self.crop is not None:  # entries of uncropped images keep their keys
            parts.append({"crop": list(self.crop)})
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def rounded(features: Features) -> Features:
    """Return features at the precision of the store, as float32, with which training and prediction compute."""
    return features.to(PRECISION).to(torch.float32)


class FeatureStore:
    """A store of features of single images by key. It is safe for several processes: writing is all or nothing."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_store_folder()
        self._checked: dict[Path, tuple[int, int, int]] = {}
        self._has_warned = False

    def _warn_once(self, words: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _LOG.warning("%s. Such images are encoded whenever they are needed; name another --store", words)

    def path(self, key: FeatureKey) -> Path:
        """Return where the features of a key are, or would be."""
        digest = key.digest()
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def __contains__(self, key: FeatureKey) -> bool:
        return self.path(key).exists()

    def put(self, key: FeatureKey, features: Features) -> None:
        """Store the features of one image, batch size 1.

        Where this user may not write, as in a store of somebody else, nothing is stored, which is logged as a warning.

        Raises:
            PromiseError: if they cannot be written for another reason, such as a full disk.
        """
        small = features.to(PRECISION).to("cpu")
        tensors = {name: tensor[0] for name, tensor in small.tensors.items()}
        try:
            save_tensors(self.path(key), tensors, sync=Sync.NONE)  # a damaged entry is noticed and made again
        except PromiseError as error:
            if getattr(error.__cause__, "errno", None) not in _MAY_NOT:
                raise
            self._warn_once(f"{self.folder}: features cannot be stored here: {first_line(error)}")

    def get(self, key: FeatureKey) -> Features | None:
        """Return the features of one image, batch size 1, float32; ``None`` if they are missing or damaged.

        An entry is compared with its hash when it is first read, and again when its file was changed. One that is
        damaged is logged as a warning; whoever encodes the image anew puts a sound one in its place.
        """
        path = self.path(key)
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
        if not tensors:
            return None
        stored = Features({name: tensor[None] for name, tensor in tensors.items()})
        return stored.to(torch.float32)
