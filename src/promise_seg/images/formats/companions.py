"""The file of values that a header names, which may come from anybody and so may not lead anywhere."""

import re
from pathlib import Path

from promise_seg.errors import ImageError


def companion(path: Path, name: str) -> Path:
    """Return the file that the header at ``path`` names.

    A header may name any file of the system. Therefore only files in the header's folder, or in folders below it, are
    read.

    Raises:
        ImageError: if the file is elsewhere or missing.
    """
    parts = re.split(r"[\\/]", name)
    if parts[0] == "" or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise ImageError(
            f"{path}: its values are in {name!r:.100}; expected a file in its own folder, as a header may not lead "
            "elsewhere. Put that file next to the header and name it there, or save both as one file"
        )
    for candidate in (path.parent / name, path.parent / name.replace("\\", "/")):
        if _is_file(candidate):
            return candidate
    raise ImageError(f"{path}: its values are in {name!r:.100}, which is not there. Copy that file next to the header")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or no right to look
        return False
