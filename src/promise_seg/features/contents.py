"""The content of a feature store: its entries, with the network and the image size that they belong to."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from promise_seg.errors import SettingsError
from promise_seg.features.precision import belongs_to
from promise_seg.storage.tensor_files import DamagedError, read_metadata, tensor_names

_DAMAGED = "damaged"


@dataclass(frozen=True)
class Entry:
    """The file of an entry: its size in bytes, and the time of its last use in seconds since 1970."""

    path: Path
    size: int
    last_used: float


@dataclass(frozen=True)
class Kind:
    """The properties that entries of the same kind share.

    Args:
        network: hash of the weights of the network; empty for entries of earlier versions, which did not record it.
        side: side of the network's input images in pixels, as text; empty for entries of earlier versions.
        precision: ``fp16`` or ``int8``; ``damaged`` if the file cannot be read.
        tensors: names of the tensors, sorted.
    """

    network: str
    side: str
    precision: str
    tensors: tuple[str, ...]


@dataclass(frozen=True)
class Share:
    """The number of entries of a kind, their total size in bytes, and the time of their last use."""

    kind: Kind
    entries: int
    size: int
    last_used: float


def check_is_store(folder: Path) -> None:
    """Check that the folder of a store named by the user exists.

    Raises:
        SettingsError: if it does not exist, or is not a folder.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise SettingsError(f"--store {folder}: {what}. Expected the folder that promise train was given as --store")


def entries_of(folder: Path) -> Iterator[Entry]:
    """Yield the entries of a store, in any order; none if there is no such folder."""
    for path in folder.glob("[0-9a-f][0-9a-f]/*.safetensors"):
        if path.name.startswith("."):  # still being written
            continue
        try:
            found = path.stat()
        except OSError:  # removed meanwhile
            continue
        yield Entry(path, found.st_size, max(found.st_atime, found.st_mtime))


def shares_of(folder: Path) -> list[Share]:
    """Return the kinds of entries in a store, the largest share first."""
    found: dict[Kind, list[Entry]] = {}
    for entry in entries_of(folder):
        found.setdefault(_kind_of(entry.path), []).append(entry)
    shares = [
        Share(kind, len(entries), sum(one.size for one in entries), max(one.last_used for one in entries))
        for kind, entries in found.items()
    ]
    return sorted(shares, key=lambda share: (-share.size, os.fspath(share.kind.network), share.kind.tensors))


def _kind_of(path: Path) -> Kind:
    try:
        facts, names = read_metadata(path), tensor_names(path)
    except (OSError, SafetensorError, DamagedError):
        return Kind("", "", _DAMAGED, ())
    tensors = tuple(sorted({belongs_to(name) for name in names}))
    return Kind(facts.get("network", ""), facts.get("side", ""), facts.get("precision", "fp16"), tensors)
