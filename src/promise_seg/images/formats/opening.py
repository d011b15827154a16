"""Open an image file or folder of any format."""

from functools import lru_cache
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.formats.kinds import kind_of
from promise_seg.images.formats.pictures import UnrecognisedError
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.series_files import files_of_series
from promise_seg.images.formats.source import Source
from promise_seg.images.formats.unrecognised import unrecognised_words
from promise_seg.images.guarding import guarded
from promise_seg.storage.remote_paths import RemotePath, as_path
from promise_seg.vocabulary import Axis


def open_source(path: str | Path, axis: Axis = Axis.AUTO) -> Source:
    """Open an image, a volume or a folder with a DICOM series.

    The last few images are cached, so reading a volume slice by slice decodes it once.

    Args:
        path: a file of any format, recognized by its content, or a folder.
        axis: axis along which volumes with an orientation are cut.

    Raises:
        ImageError: if the file is missing, damaged, too large or not an image.
    """
    path = as_path(path)
    return _open(path, kind_of(path), axis, states_of(path))


def states_of(path: Path) -> tuple[tuple[int, int], ...]:
    """Return the modification time in nanoseconds and the size in bytes of each file of an image.

    Raises:
        ImageError: if a file is missing or empty.
    """
    kind = kind_of(path)
    with guarded(path):
        _check_not_empty(path)
        states = [file.stat() for file in kind.files_of(path)]
    return tuple((state.st_mtime_ns, state.st_size) for state in states)


def open_uncached(path: Path, axis: Axis = Axis.AUTO) -> Source:
    """Open an image that the caller keeps, such as another channel of an image, without caching it.

    Raises:
        ImageError: see :func:`open_source`.
    """
    return _opened(path, kind_of(path), axis)


def open_across(source: Source, axis: Axis) -> Source:
    """Open a volume again, cut along another axis; a DICOM series keeps its list of files.

    Raises:
        ImageError: see :func:`open_source`.
    """
    if isinstance(source, DicomSeries):
        with guarded(source.path):
            return DicomSeries(source.path, axis, source.files)
    return open_uncached(source.path, axis)


@lru_cache(maxsize=3)  # an image, its mask, and one more
def _open(path: Path, kind: type[Source], axis: Axis, states: tuple[tuple[int, int], ...]) -> Source:
    del states  # a changed file is opened again
    return _opened(path, kind, axis)


def _opened(path: Path, kind: type[Source], axis: Axis) -> Source:
    with guarded(path):
        if kind is DicomSeries:
            return DicomSeries(path, axis, files_of_series(path))
        _check_not_empty(path)
        try:
            return kind(path, axis)
        except UnrecognisedError as error:
            raise ImageError(f"{error}{unrecognised_words(path)}") from None


def _check_not_empty(path: Path) -> None:
    if not isinstance(path, RemotePath) and path.is_file() and path.stat().st_size == 0:
        raise ImageError(f"{path}: the file is empty (0 bytes). Copy it again from its source")
