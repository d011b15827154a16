"""The supported file formats, and how the format of a file is recognized.

The first bytes of a file decide, because names can mislead; files that are only listed are recognized by their names.
"""

import gzip
import os
import stat
import zlib
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.metaimage import MetaImageVolume
from promise_seg.images.formats.nifti import NiftiVolume
from promise_seg.images.formats.nrrd import NrrdVolume
from promise_seg.images.formats.numpy_stack import NumpyArchive, NumpyArray
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.source import Source
from promise_seg.images.formats.tiff import TiffStack
from promise_seg.images.formats.video import Video

FILE_SOURCES: tuple[type[Source], ...] = (
    DicomImage, NiftiVolume, NrrdVolume, MetaImageVolume, NumpyArray, NumpyArchive, Video, TiffStack, Picture,
)  # fmt: skip
"""The classes that read files: the only list of formats. The first with a matching signature reads a file."""
FOLDER_SOURCE: type[Source] = DicomSeries
"""The class that reads folders."""
UNKNOWN_SOURCE: type[Source] = Picture
"""The class that tries to read files of unrecognised formats, because Pillow reads many."""

SUFFIXES: dict[str, type[Source]] = {suffix: source for source in FILE_SOURCES for suffix in source.suffixes}
"""The suffixes of files that are searched for in folders. A file that is named directly may have any suffix."""
_BY_END: dict[str, list[str]] = {}  # suffixes with the same last part, in the same order
for _suffix in SUFFIXES:
    _BY_END.setdefault(_suffix.rpartition(".")[2], []).append(_suffix)
_PICTURE_SIGNATURES = ((0, b"\x89PNG\r\n"), (0, b"\xff\xd8\xff"), (0, b"GIF8"), (8, b"WEBP"))
_HEAD_BYTES = max(at + len(magic) for source in FILE_SOURCES for at, magic in source.signatures)


def suffix_of(path: Path) -> str:
    """Return the known suffix of a name in lower case, such as ``.nii.gz``; empty if there is none."""
    return _suffix_of_name(path.name)


def _suffix_of_name(name: str) -> str:
    name = name.lower()
    return next((suffix for suffix in _BY_END.get(name.rpartition(".")[2], ()) if name.endswith(suffix)), "")


def stem_of(path: Path) -> str:
    """Return a name without its known suffix: ``ct_01`` for ``ct_01.nii.gz``, but all of ``1.2.840.99``."""
    return stem_of_name(path.name)


def stem_of_name(name: str) -> str:
    """Return a file name, given as text, without its known suffix."""
    suffix = _suffix_of_name(name)
    return name[: -len(suffix)] if suffix else name


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as file:
                return file.read(_HEAD_BYTES)
        except (EOFError, OSError, zlib.error):
            return head
    return head


def _readable(folder: Path) -> type[Source]:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ImageError(f"{folder}: cannot be listed. Check its permissions")
    return FOLDER_SOURCE


def told_by_content(path: Path) -> type[Source] | None:
    """Return the class that reads a file by its first bytes; ``None`` if they are unknown or cannot be read."""
    try:
        head = _head(path) if path.is_file() else b""
    except OSError:
        return None
    if any(head[at : at + len(magic)] == magic for at, magic in _PICTURE_SIGNATURES):
        return Picture
    return _told(head)


def _told(head: bytes) -> type[Source] | None:
    """Return the class with a matching signature; otherwise the class of a format without one that resembles it."""
    told = next((source for source in FILE_SOURCES if source.has_signature(head)), None)
    return told or next((source for source in FILE_SOURCES if source.resembles(head)), None)


def kind_of(path: Path) -> type[Source]:
    """Return the class that reads a file, by its content, or a folder, which is taken for a DICOM series.

    Raises:
        ImageError: if the path does not exist or cannot be opened, or is a pipe or a device, which might never end.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _readable(path)
        if not stat.S_ISREG(mode):
            raise ImageError(f"{path}: neither a file nor a folder")
        head = _head(path)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except ValueError as error:  # such as a zero byte
        raise ImageError(f"{str(path)!r}: not a valid file name: {error}") from error
    told = next((source for source in FILE_SOURCES if source.has_signature(head)), None)
    named = SUFFIXES.get(suffix_of(path))
    if told is None and named is not None and named.may_lack_signature:
        return named
    return told or _told(head) or UNKNOWN_SOURCE
