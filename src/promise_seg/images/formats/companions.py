"""Volumes whose header may name another file with the values: the common part of NRRD and MetaImage."""

import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.images.formats.source import Scope
from promise_seg.images.formats.volume import ArrayVolume

_LONGEST_REASON = 200


class VolumeWithHeader(ArrayVolume):
    """A volume in one file, or in a header with a separate data file; a subclass sets ``_files``."""

    _files: list[Path]

    @classmethod
    @abstractmethod
    def files_of(cls, path: Path) -> list[Path]:
        """Return the file, and its data file if the header names one."""

    def slice_files(self, index: int, scope: Scope) -> list[Path]:
        del index, scope
        return self._files


@contextmanager
def faults_of(path: Path, kind: str) -> Iterator[None]:
    """Turn any exception that a damaged file causes, in a library or in numpy, into an error that names the file.

    Args:
        path: path of the file.
        kind: the expected kind of file, with its article, for the message.
    """
    try:
        yield
    except PromiseError:
        raise
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to decode it") from None
    except Exception as error:
        reason = first_line(error)[:_LONGEST_REASON]
        raise ImageError(f"{path}: damaged, or not {kind} that can be read: {reason}. Save it again") from error


def companion(path: Path, name: str) -> Path:
    """Return the data file that the header at ``path`` names.

    Raises:
        ImageError: if the file is elsewhere or missing.
    """
    found = companion_if_there(path, name)
    if found is None:
        raise ImageError(
            f"{path}: its values are in {name!r:.100}, which is not there. Copy that file next to the header"
        )
    return found


def companion_if_there(path: Path, name: str) -> Path | None:
    """Return the data file that the header at ``path`` names; ``None`` if it is missing.

    A header could name any file of the system, so only files in its own folder, or in folders below it, are accepted.

    Raises:
        ImageError: if the file is elsewhere.
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
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a missing permission
        return False
