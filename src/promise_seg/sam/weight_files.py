"""Recognise the format of a weights file by its first bytes, because downloads fail and file names mislead."""

import re
from enum import StrEnum
from pathlib import Path

from promise_seg.errors import CheckpointError

_HEAD_BYTES = 1024
_LFS = b"version https://git-lfs"
_LFS_SIZE = re.compile(rb"^size (\d+)", re.MULTILINE)
_PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<head")
_ARCHIVES = ((0, b"\x1f\x8b", "gzip"), (0, b"7z\xbc\xaf", "7-Zip"), (0, b"Rar!", "RAR"), (257, b"ustar", "tar"))


class WeightFormat(StrEnum):
    """The formats of weights files."""

    SAFETENSORS = "safetensors"
    PICKLE = "pickle"


def weight_format(path: str | Path) -> WeightFormat:
    """Return the format of a weights file; unrecognised content is assumed to be a PyTorch pickle.

    Raises:
        CheckpointError: if the file does not exist, cannot be read, is empty or is not a weights file; the message says
            what it is, and how to get the weights.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not head:
        raise CheckpointError(f"{path}: cannot be read: it is empty. Download it again")
    if head.startswith(_LFS):
        size = _LFS_SIZE.search(head)
        of_size = f" of {int(size[1]):,} bytes" if size else ""
        raise CheckpointError(
            f"{path}: cannot be read: it is a pointer of Git LFS to the weights{of_size}, not the weights themselves. "
            "Get them with: git lfs pull"
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_PAGES):
        raise CheckpointError(
            f"{path}: cannot be read: it is a web page, not weights, as a server sends it that wants a login, a "
            "confirmation or less traffic. Open the link in a browser and download the file there"
        )
    for at, signature, name in _ARCHIVES:
        if head[at:].startswith(signature):
            raise CheckpointError(f"{path}: cannot be read: it is a {name} archive. Unpack it and give a file in it")
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= length < 2**40:
        return WeightFormat.SAFETENSORS
    if start.startswith((b"{", b"[")):
        raise CheckpointError(
            f"{path}: cannot be read: it is JSON, such as a config or a message of a server, not weights"
        )
    return WeightFormat.PICKLE
