"""Open whatever file or folder a user names."""

from functools import lru_cache
from pathlib import Path

from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.kinds import FileKind, kind_of
from promise_seg.images.formats.nifti import NiftiVolume
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.source import Source
from promise_seg.images.formats.tiff import TiffStack
from promise_seg.vocabulary import Axis


def open_source(path: str | Path, axis: Axis = Axis.AUTO) -> Source:
    """Open an image, a volume or a folder with a DICOM series.

    The last few are kept, so that reading a volume slice by slice decodes it once.

    Args:
        path: what it is is told from its content.
        axis: what volumes with an orientation are cut across.

    Raises:
        ImageError: if it is missing, damaged, too large or no image.
    """
    path = Path(path)
    kind = kind_of(path)
    state = path.stat()
    return _open(path, kind, axis, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=3)  # an image, its mask, and one more
def _open(path: Path, kind: FileKind, axis: Axis, modified: int, size: int) -> Source:
    del modified, size  # a file that was written anew is opened anew
    match kind:
        case FileKind.PICTURE:
            return Picture(path)
        case FileKind.TIFF:
            return TiffStack(path)
        case FileKind.NIFTI:
            return NiftiVolume(path, axis)
        case FileKind.DICOM:
            return DicomImage(path, axis)
        case FileKind.SERIES:
            return DicomSeries(path, axis)
