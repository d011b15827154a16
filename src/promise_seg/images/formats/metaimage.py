"""MetaImage volumes and images, the format of ITK: ``.mha``, or a header ``.mhd`` with a data file."""

from pathlib import Path

import numpy as np

from promise_seg.arrays import Array, Float64Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.companions import VolumeWithHeader, faults_of
from promise_seg.images.formats.metaimage_files import Header, data_file, numbers, read_header, read_values
from promise_seg.images.formats.notes import NO_PLACE
from promise_seg.images.formats.orientation import is_place, is_size
from promise_seg.vocabulary import Axis, OutputFormat

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""ITK's coordinates are LPS+."""
_MATRICES, _ORIGINS = ("transformmatrix", "rotation", "orientation"), ("offset", "position", "origin")
"""Fields with the directions of the axes and the position of the first voxel; the first that exists is used."""
_KIND = "a MetaImage"


class MetaImageVolume(VolumeWithHeader):
    """A volume cut into slices along ``axis``, by default axially, or an image of two dimensions; held in memory.

    A volume without directions and origin has no position: its slices follow the last axis. Colours are 3 or 4
    channels of bytes; alpha is dropped. Other channels, or a fourth dimension, are channels to choose from.
    """

    kind = "metaimage"
    suffixes = (".mha", ".mhd")
    signatures = ((0, b"ObjectType"),)
    may_lack_signature = True

    plane: tuple[list[float], list[float]] | None = None
    """The directions (2 x 2) and the origin of an image of two dimensions, as the file states them, if it does."""

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        with faults_of(path, _KIND):
            header, start = read_header(path)
            data = data_file(path, header)
            self._files = [path] if data is None else [path, data]
            values = read_values(path, header, start)
            dimensions = int(header["ndims"])
            array, channels = _arranged(path, values, dimensions)
            self.several_channels = ("",) * channels
            sizes = numbers(path, header, "elementspacing", dimensions)
            sizes = sizes or numbers(path, header, "elementsize", dimensions)
            affine = _affine(path, header, dimensions, sizes)
            if affine is not None and not is_place(affine):
                affine = None
                self.notes = (f"{path}: its directions, its spacing or its origin are {NO_PLACE}",)
            if dimensions == 2 and affine is not None:
                matrix, origin = _first(path, header, _MATRICES, 4), _first(path, header, _ORIGINS, 2)
                self.plane = matrix or [1.0, 0.0, 0.0, 1.0], origin or [0.0, 0.0]
            if dimensions > 2 and affine is not None:
                self._place(path, array, affine, axis)
            else:
                self.is_volume = dimensions > 2
                spacing = None if sizes is None or not _are_lengths(sizes[:2]) else (sizes[1], sizes[0])
                self.slice_spacing = None if sizes is None or not _are_lengths(sizes[2:3]) else sizes[2]
                if sizes is not None and spacing is None and not self.notes:
                    self.notes = (f"{path}: its ElementSpacing is not a valid size, so its spacing is unknown",)
                self._leave_as_stored(path, array.swapaxes(0, 2), spacing, axis)

    @classmethod
    def files_of(cls, path: Path) -> list[Path]:
        """Return the file, and its data file if the header names one."""
        with faults_of(path, _KIND):
            data = data_file(path, read_header(path)[0])
        return [path] if data is None else [path, data]

    def output_formats(self) -> list[OutputFormat]:
        return [OutputFormat.METAIMAGE]


def _arranged(path: Path, values: Array, dimensions: int) -> tuple[Array, int]:
    """Return values (I, J, K[, C]), with K = 1 for an image, and the number of channels that are not colours."""
    sizes, channels = values.shape[:dimensions], values.shape[dimensions:]
    more = tuple(size for size in (*sizes[3:], *channels) if size > 1)
    if dimensions < 2 or len(more) > 1:
        words = " x ".join(map(str, sizes))
        raise ImageError(
            f"{path}: has {dimensions} dimension{'s' * (dimensions != 1)} ({words}){' of channels' * bool(channels)}; "
            "expected 2 or 3, and one more for channels. Save the wanted volume as a separate file"
        )
    array = values.reshape((*sizes[:3], *(1,) * (3 - len(sizes)), *more), order="F")
    if channels in ((3,), (4,)) and values.dtype == np.uint8:
        return array[..., :3], 0
    return array.astype(np.float32) if array.dtype == np.float64 else array, more[0] if more else 0


def _affine(path: Path, header: Header, dimensions: int, sizes: list[float] | None) -> Float64Array | None:
    """Return the affine (4, 4) from (I, J, K) to mm in RAS+; ``None`` without directions and origin in the header.

    Each row of the matrix in the header is the direction of one axis.
    """
    matrix = _first(path, header, _MATRICES, dimensions**2)
    origin = _first(path, header, _ORIGINS, dimensions)
    if matrix is None and origin is None:
        return None
    lengths = np.array(sizes or [1.0] * dimensions)
    directions = np.eye(dimensions) if matrix is None else np.array(matrix).reshape(dimensions, dimensions)
    affine = np.eye(4)
    axes = min(3, dimensions)
    affine[:axes, :axes] = (directions * lengths[:, None])[:axes, :axes].T
    affine[:axes, 3] = np.array(origin or [0.0] * dimensions)[:axes]
    with np.errstate(all="ignore"):
        return np.asarray(_TO_RAS @ affine)


def _first(path: Path, header: Header, names: tuple[str, ...], count: int) -> list[float] | None:
    return next((found for name in names if (found := numbers(path, header, name, count)) is not None), None)


def _are_lengths(sizes: list[float]) -> bool:
    return bool(sizes) and all(map(is_size, sizes))
