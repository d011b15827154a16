"""Open any file or folder that a user names."""

from functools import lru_cache
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.formats.kinds import SUFFIXES, kind_of
from promise_seg.images.formats.pictures import UnrecognisedError
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.series_files import files_of_series
from promise_seg.images.formats.source import Source
from promise_seg.images.guarding import guarded
from promise_seg.remote_paths import RemotePath, as_path
from promise_seg.vocabulary import Axis


def open_source(path: str | Path, axis: Axis = Axis.AUTO) -> Source:
    """Open an image, a volume or a folder with a DICOM series.

    The last few are cached, so reading a volume slice by slice decodes it once.

    Args:
        path: a file of any kind, told from its content, or a folder.
        axis: what volumes with an orientation are cut across.

    Raises:
        ImageError: if the file is missing, damaged, too large or not an image.
    """
    path = as_path(path)
    return _open(path, kind_of(path), axis, states_of(path))


def states_of(path: Path) -> tuple[tuple[int, int], ...]:
    """Return the times of change and the sizes of all files of an image.

    Raises:
        ImageError: if one is missing.
    """
    kind = kind_of(path)
    with guarded(path):
        _check_not_empty(path)
        states = [file.stat() for file in kind.files_of(path)]
    return tuple((state.st_mtime_ns, state.st_size) for state in states)


def open_uncached(path: Path, axis: Axis = Axis.AUTO) -> Source:
    """Open what somebody else keeps, such as a further channel of an image, which must not push out others.

    Raises:
        ImageError: see :func:`open_source`.
    """
    return _opened(path, kind_of(path), axis)


def open_across(source: Source, axis: Axis) -> Source:
    """Open a volume once more, cut across another axis: of a DICOM series the same files, whatever else lies there.

    Raises:
        ImageError: see :func:`open_source`.
    """
    if isinstance(source, DicomSeries):
        with guarded(source.path):
            return DicomSeries(source.path, axis, source.files)
    return open_uncached(source.path, axis)


@lru_cache(maxsize=3)  # an image, its mask, and one more
def _open(path: Path, kind: type[Source], axis: Axis, states: tuple[tuple[int, int], ...]) -> Source:
    del states  # a file that was written anew is opened anew
    return _opened(path, kind, axis)


def _opened(path: Path, kind: type[Source], axis: Axis) -> Source:
    with guarded(path):
        if kind is DicomSeries:
            return DicomSeries(path, axis, files_of_series(path))
        _check_not_empty(path)
        try:
            return kind(path, axis)
        except UnrecognisedError as error:
            raise ImageError(f"{error}; expected one of {', '.join(sorted(SUFFIXES))}") from None


def _check_not_empty(path: Path) -> None:
    if not isinstance(path, RemotePath) and path.is_file() and path.stat().st_size == 0:
        raise ImageError(f"{path}: the file is empty (0 bytes). Copy it again from its source")
