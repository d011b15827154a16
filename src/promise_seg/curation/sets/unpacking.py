"""Unpack untrusted zip and tar archives safely: only into the folder, without links, up to a size, all or nothing."""

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from promise_seg.errors import PromiseError
from promise_seg.images.listing import is_litter
from promise_seg.storage.files import replacing_folder

_CHUNK = 1 << 20
_MAX_FILES = 200_000
_DAMAGES = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, RuntimeError
)  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    """A file in an archive; ``size`` is the declared size in bytes."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def unpacked_limit(archive_bytes: int) -> int:
    """Return the number of bytes that an archive of this size may unpack to: 500 MB plus twenty times its own size.

    Images are hardly compressible, so an archive that exceeds this limit was made to fill a disk.
    """
    return 500_000_000 + 20 * archive_bytes


def unpack(
    archive: Path, folder: Path, *, limit: int | None = None, progress: Callable[[int], object] = lambda done: None
) -> Path:
    """Unpack a zip or tar archive (plain, gzip, bzip2 or xz) to a folder that replaces ``folder``.

    The format is detected from the content. Hidden files that operating systems add are left out.

    Args:
        archive: the archive file.
        folder: the folder for its content.
        limit: the maximum number of bytes to write; by default ``unpacked_limit``.
        progress: called with the number of bytes written.

    Raises:
        PromiseError: if the file is not such an archive, is damaged, encrypted or too large, contains a file twice, or
            has links or paths that lead out of the folder. ``folder`` is then left unchanged.
    """
    limit = unpacked_limit(archive.stat().st_size) if limit is None else limit
    with replacing_folder(folder) as temporary:
        done = 0
        seen: set[str] = set()
        with _entries(archive) as entries:
            for entry in entries:
                key = str(entry.path).casefold()
                if key in seen:
                    raise PromiseError(
                        f"{archive}: contains {entry.path} twice; expected each file once. Nothing was unpacked"
                    )
                seen.add(key)
                if done + entry.size > limit or len(seen) > _MAX_FILES:
                    raise PromiseError(
                        f"{archive}: unpacks to more than {limit:,} bytes or {_MAX_FILES:,} files, far more than "
                        "images would. Nothing was unpacked; download the archive again from its source"
                    )
                target = temporary / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with entry.open() as source, target.open("xb") as file:
                    while chunk := source.read(_CHUNK):
                        file.write(chunk)
                        done += len(chunk)
                        progress(done)
    return folder


@contextmanager
def _entries(archive: Path) -> Iterator[Iterator[_Entry]]:
    """Yield an iterator over the files of an archive, whose paths are checked.

    Raises:
        PromiseError: if the archive is damaged, encrypted or of another format, or has a path that is not safe.
    """
    with archive.open("rb") as file:
        head = file.read(8)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield _of_zip(opened, archive)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as opened_tar:
                yield _of_tar(opened_tar, archive)
        elif head.startswith((b"Rar!", b"7z\xbc\xaf")):
            raise PromiseError(
                f"{archive}: a rar or 7z archive; expected zip or tar. Unpack it with 7-Zip, unrar or The Unarchiver "
                "and pass the folder to --from"
            )
        elif head.lstrip()[:1] == b"<":
            raise PromiseError(
                f"{archive}: a web page, not an archive. Open its address in a browser and download again"
            )
        else:
            raise PromiseError(f"{archive}: not a readable archive; expected zip or tar. Download it again")
    except _DAMAGES as error:
        raise PromiseError(f"{archive}: damaged or encrypted: {error}. Download it again from its source") from error


def _of_zip(opened: zipfile.ZipFile, archive: Path) -> Iterator[_Entry]:
    for info in opened.infolist():
        path = _safe_path(info.filename, archive)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise PromiseError(
                f"{archive}: contains a link, {info.filename!r}; expected files only. Nothing was unpacked"
            )
        if not info.is_dir() and not _is_hidden(path):
            yield _Entry(path, info.file_size, lambda info=info: opened.open(info))  # type: ignore[misc]


def _of_tar(opened: tarfile.TarFile, archive: Path) -> Iterator[_Entry]:
    """Yield the files of a tar archive, which are read instead of extracted, without the filters of ``tarfile``.

    These filters would allow links within the folder, and have no size limit.
    """
    for member in opened:
        path = _safe_path(member.name, archive)
        if member.isdir():
            continue
        if not member.isreg():
            raise PromiseError(
                f"{archive}: contains a link or device, {member.name!r}; expected files only. Nothing was unpacked"
            )
        source = opened.extractfile(member)
        if source is not None and not _is_hidden(path):
            yield _Entry(path, member.size, lambda source=source: source)  # type: ignore[misc]


def _safe_path(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise PromiseError(
            f"{archive}: contains a path that leads out of its folder, {name!r}. Nothing was unpacked; do not use this "
            "archive"
        )
    return path


def _is_hidden(path: PurePosixPath) -> bool:
    return any(is_litter(PurePosixPath(part)) for part in path.parts)
