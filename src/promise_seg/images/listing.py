"""List a folder without hidden files and the litter of operating systems."""

from pathlib import Path, PurePath

from promise_seg.errors import ImageError

_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "dicomdir"})


def is_litter(path: PurePath) -> bool:
    """Whether a file or folder is hidden, or one that an operating system leaves behind."""
    return path.name.startswith(".") or path.name.lower() in _LITTER


def visible(folder: Path) -> list[Path]:
    """What a folder holds, in order of name, without hidden files and the litter of operating systems.

    Raises:
        ImageError: if the system does not let us look.
    """
    try:
        return sorted(p for p in folder.iterdir() if not is_litter(p))
    except OSError as error:
        raise ImageError(f"{folder}: cannot be listed: {error.strerror or error}. Check its permissions") from error
