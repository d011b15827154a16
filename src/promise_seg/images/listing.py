"""List folders without hidden files and without files that operating systems leave behind."""

from pathlib import Path, PurePath

from promise_seg.errors import ImageError

_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "dicomdir"})


def is_litter(path: PurePath) -> bool:
    """Whether a file or folder is hidden, or was left behind by an operating system."""
    return path.name.startswith(".") or path.name.lower() in _LITTER


def name_fault(path: PurePath) -> str | None:
    """Return what is wrong with a path that no table and no other file can hold, because it is not valid UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        words = str(path).encode("utf-8", "backslashreplace").decode()
        return f"{words}: its name is not valid UTF-8, so that no table can hold it. Rename it"
    return None


def visible(folder: Path) -> list[Path]:
    """List a folder in order of name, without hidden files and files that operating systems leave behind.

    Raises:
        ImageError: if the folder cannot be listed.
    """
    try:
        return sorted(p for p in folder.iterdir() if not is_litter(p))
    except OSError as error:
        raise ImageError(f"{folder}: cannot be listed: {error.strerror or error}. Check its permissions") from error
