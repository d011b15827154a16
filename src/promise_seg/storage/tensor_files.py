"""Tensors in safetensors files with the hash of their content, so that damage, even of a single bit, is noticed.

The metadata of such a file have one entry, :data:`KEY`, whose value is JSON: the hash and the metadata that belong to
the tensors. A single entry ensures that equal content gives equal bytes, as safetensors writes several entries in
random order. Files without the entry, of other programs and of earlier versions, are read without a check.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from promise_seg.storage.files import Sync, passing, write_whole

KEY = "promise_seg"
_SHA256, _METADATA = "sha256", "metadata"
_FOLDER, _FILE = "tensors", "file"
_WAY_OUT = "The disk or a copy damaged it: restore it from another copy, or make it again"


class DamagedError(ValueError):
    """The content of a file has changed since it was written."""


class TensorFile(NamedTuple):
    """Tensors on the CPU and texts, each by their names."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None, sync: Sync = Sync.ALL
) -> None:
    """Write tensors and texts, completely or not at all; equal content gives equal bytes.

    Raises:
        PromiseError: if the file cannot be written.
    """
    write_whole(path, lambda temporary: write_tensors(temporary, tensors, metadata), sync)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a file as :func:`save_tensors` does, but directly to ``path``, for folders that are replaced as a whole.

    No second copy of the tensors is made in memory, as the library writes them one after the other. The file has the
    mode that the library gives it.
    """
    found = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    texts = dict(metadata or {})
    entry = {_SHA256: content_sha256(found, texts), _METADATA: texts}
    # The library writes a temporary file next to its output, whose name does not identify its process after a kill. So
    # both are written in a folder whose name does.
    with passing(path.with_name(_FOLDER)) as folder:
        folder.mkdir()
        save_file(found, folder / _FILE, metadata={KEY: json.dumps(entry, sort_keys=True)})
        (folder / _FILE).replace(path)
        folder.rmdir()  # an error here fails the write: the folder would stay in one that is replaced as a whole


def load_tensors(path: Path, *, check: bool = True) -> TensorFile:
    """Read a file of :func:`save_tensors`, or any other safetensors file, which has no hash to check.

    Args:
        path: path of the file.
        check: whether the content is compared with its hash, which takes about a second per gigabyte.

    Raises:
        DamagedError: if the content does not match its hash.
        OSError, SafetensorError: if the file cannot be read.
    """
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        found = file.metadata()
    sha256, metadata = _entry(found)
    if check and sha256 is not None and sha256 != content_sha256(tensors, metadata):
        raise DamagedError(f"its content changed after it was written (its SHA-256 differs). {_WAY_OUT}")
    return TensorFile(tensors, metadata)


def tensor_names(path: Path) -> frozenset[str]:
    """Read only the names of the tensors.

    Raises:
        OSError, SafetensorError: if the file cannot be read.
    """
    with safe_open(path, "pt") as file:
        return frozenset(file.keys())


def read_metadata(path: Path) -> dict[str, str]:
    """Read only the texts of a file, without a check of its hash.

    Raises:
        DamagedError: if the entry of the metadata is damaged.
        OSError, SafetensorError: if the file cannot be read.
    """
    with safe_open(path, "pt") as file:
        return _entry(file.metadata())[1]


def _entry(found: Mapping[str, str] | None) -> tuple[str | None, dict[str, str]]:
    """Return the hash, if there is one, and the texts from the metadata of a safetensors file."""
    if not found or KEY not in found:
        return None, dict(found or {})
    try:
        entry: dict[str, Any] = json.loads(found[KEY])
        return str(entry[_SHA256]), dict(entry[_METADATA])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"its metadata changed after it was written. {_WAY_OUT}") from error


def content_sha256(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes of contiguous tensors on the CPU, and of texts."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
