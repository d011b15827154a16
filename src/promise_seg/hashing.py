"""Hashes of files: by what they hold, not by what they are called."""

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: list[Path]) -> str:
    """Hash of several files' bytes, in their order; of one file its own."""
    hashes = [file_sha256(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
