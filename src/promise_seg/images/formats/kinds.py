"""What kind of file something is: by its first bytes, as names mislead; by its name where files are only listed."""

import gzip
import os
import stat
import zlib
from enum import StrEnum
from pathlib import Path

from promise_seg.errors import ImageError


class FileKind(StrEnum):
    """``picture`` is whatever Pillow reads; ``series`` a folder of DICOM files that form one volume."""

    PICTURE = "picture"
    TIFF = "tiff"
    NIFTI = "nifti"
    DICOM = "dicom"
    SERIES = "series"


SUFFIXES: dict[str, FileKind] = {
    ".png": FileKind.PICTURE,
    ".jpg": FileKind.PICTURE,
    ".jpeg": FileKind.PICTURE,
    ".bmp": FileKind.PICTURE,
    ".webp": FileKind.PICTURE,
    ".gif": FileKind.PICTURE,
    ".tif": FileKind.TIFF,
    ".tiff": FileKind.TIFF,
    ".nii.gz": FileKind.NIFTI,
    ".nii": FileKind.NIFTI,
    ".dcm": FileKind.DICOM,
}
"""Of files that are looked for in folders. A file that is named directly may end in anything."""

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NIFTI_MAGIC = {344: (b"n+1\0", b"ni1\0"), 4: (b"n+2\0", b"ni2\0")}
_ANALYZE_SIZES = ((348).to_bytes(4, "little"), (348).to_bytes(4, "big"))
_HEAD_BYTES = 352


def suffix_of(path: Path) -> str:
    """The known suffix that a name ends in, in lower case, ``.nii.gz`` being one; empty if there is none."""
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def stem_of(path: Path) -> str:
    """A name without its known suffix: ``ct_01`` of ``ct_01.nii.gz``, but all of ``1.2.840.99`` or of a folder's."""
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix else path.name


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


def _series(folder: Path) -> FileKind:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ImageError(f"{folder}: a folder that cannot be looked into. Check its permissions")
    return FileKind.SERIES


def kind_of(path: Path) -> FileKind:
    """Look into a file, or take a folder for a DICOM series.

    Raises:
        ImageError: if it does not exist or cannot be opened, or is a pipe or a device, which might never end.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _series(path)
        if not stat.S_ISREG(mode):
            raise ImageError(f"{path}: neither a file nor a folder")
        head = _head(path)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte, among others
        raise ImageError(f"{str(path)!r}: no name that a file can have: {error}") from error
    if head[128:132] == b"DICM":
        return FileKind.DICOM
    if any(head[at : at + 4] in magics for at, magics in _NIFTI_MAGIC.items()) or head[:4] in _ANALYZE_SIZES:
        return FileKind.NIFTI
    if head[:4] in _TIFF_MAGIC:
        return FileKind.TIFF
    return FileKind.DICOM if suffix_of(path) == ".dcm" else FileKind.PICTURE
