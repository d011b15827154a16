"""List folders without hidden files and without files that operating systems leave behind."""

import os
from pathlib import Path, PurePath

from promise_seg.errors import ImageError

_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "dicomdir"})
_NOBODYS = frozenset({".ds_store", "thumbs.db", "desktop.ini", "dicomdir", ".directory", ".localized"})


def is_nobodys(path: PurePath) -> bool:
    """Whether a file was made by an operating system, not by the user, so that skipping it needs no note."""
    return path.name.lower() in _NOBODYS or path.name.startswith("._")  # metadata of macOS for files on other disks


def is_litter(path: PurePath) -> bool:
    """Whether a file or folder is hidden, or was left behind by an operating system."""
    name = path.name
    return name.startswith(".") or name.lower() in _LITTER


def name_fault(path: PurePath) -> str | None:
    """Return an error message if a path is not valid UTF-8, so that it cannot be written to a table."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        words = str(path).encode("utf-8", "backslashreplace").decode()
        return f"{words}: its name is not valid UTF-8, so that no table can hold it. Rename it"
    return None


def visible(folder: Path) -> list[Path]:
    """List a folder, sorted by name, without hidden files and files that operating systems leave behind.

    Raises:
        ImageError: if the folder cannot be listed.
    """
    return visible_and_hidden(folder)[0]


def visible_and_hidden(folder: Path) -> tuple[list[Path], list[Path]]:
    """List a folder, sorted by name: the paths that :func:`visible` returns, and those that it leaves out.

    Raises:
        ImageError: if the folder cannot be listed.
    """
    try:
        paths = sorted(folder.iterdir(), key=lambda path: os.path.normcase(path.name))  # as for paths, but faster
    except OSError as error:
        raise ImageError(f"{folder}: cannot be listed: {error.strerror or error}. Check its permissions") from error
    visible: list[Path] = []
    hidden: list[Path] = []
    for path in paths:
        (hidden if is_litter(path) else visible).append(path)
    return visible, hidden
