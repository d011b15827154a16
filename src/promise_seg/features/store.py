"""A content-addressed store of encoder features on disk, shared by all runs.

The key of an entry contains everything that changes its numbers, so an entry is never stale, and entries of other
images, SAMs or settings never get in the way. Delete the folder at any time to free space.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from promise_seg.augmentation import AnyView
from promise_seg.cache_folders import cache_folder
from promise_seg.files import write_whole
from promise_seg.images.geometry import Box
from promise_seg.sam.features import EMBEDDING, Features
from promise_seg.vocabulary import Fit

FORMAT_VERSION = 2
"""Raised whenever the same file, geometry and view would be read as other pixels than before."""
PRECISION = torch.float16
"""Features are rounded to this wherever they are used, stored or fresh, so that both give the same numbers."""


def default_store_folder() -> Path:
    """``$PROMISE_SEG_STORE``, or a folder in the user's cache directory."""
    return cache_folder("features", "PROMISE_SEG_STORE")


@dataclass(frozen=True)
class FeatureKey:
    """What an entry depends on: the image's content, the way to the model frame, the view, the SAM."""

    image_sha256: str
    fit: Fit
    side: int
    view: AnyView
    sam_sha256: str
    crop: Box | None = None

    def digest(self) -> str:
        parts: list[object] = [
            FORMAT_VERSION,
            self.image_sha256,
            str(self.fit),
            self.side,
            self.view.as_key(),
            self.sam_sha256,
            str(PRECISION),
        ]
        if self.crop is not None:  # so that entries of whole images keep their place
            parts.append({"crop": list(self.crop)})
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def rounded(features: Features) -> Features:
    """Features at the store's precision, as float32: what training and prediction compute with."""
    return features.to(PRECISION).to(torch.float32)


class FeatureStore:
    """Features of single images by key. Safe for several processes: entries are written whole or not at all."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_store_folder()

    def path(self, key: FeatureKey) -> Path:
        digest = key.digest()
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def __contains__(self, key: FeatureKey) -> bool:
        return self.path(key).exists()

    def put(self, key: FeatureKey, features: Features) -> None:
        """Store the features of one image, batch size 1.

        Raises:
            PromiseError: if they cannot be written, for example because the disk is full.
        """
        small = features.to(PRECISION).to("cpu")
        tensors = {name: tensor[0].contiguous() for name, tensor in small.tensors.items()}
        write_whole(self.path(key), lambda p: save_file(tensors, p))

    def get(self, key: FeatureKey) -> Features | None:
        """Features of one image, batch size 1, float32; ``None`` if they are not there or damaged."""
        try:
            tensors = load_file(self.path(key))
        except (FileNotFoundError, SafetensorError):
            return None
        if EMBEDDING not in tensors:
            return None
        stored = Features({name: tensor[None] for name, tensor in tensors.items()})
        return stored.to(torch.float32)
