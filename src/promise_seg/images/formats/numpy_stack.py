"""NumPy arrays as images: ``.npy``, and ``.npz`` with one array, or with arrays named image and mask.

The axes of an array have no names, so their meaning is derived from their number and lengths. If it is uncertain, an
image is refused, while a mask is taken for slices, because only these fit an image.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.companions import faults_of
from promise_seg.images.formats.limits import check_size
from promise_seg.images.formats.numpy_files import SUFFIX, Header, archive_array, archive_headers, header_of, mapped
from promise_seg.images.formats.source import Source
from promise_seg.images.formats.volume import refuse_axis
from promise_seg.vocabulary import Axis, OutputFormat

_COLOURS = (3, 4)
"""Lengths of an axis of colours: RGB, and RGB with alpha, which is dropped."""
_IMAGE_NAMES = ("image", "images", "img", "imgs", "data", "volume", "vol", "x")
_LABEL_NAMES = ("label", "labels", "mask", "masks", "gt", "gts", "seg", "segmentation", "y")
_WAYS = (
    "Save it as (slices, rows, columns), (rows, columns, 3) or (slices, rows, columns, 3), each slice as a file of its "
    "own, or as a TIFF (tifffile.imwrite), which says what its axes are"
)


@dataclass(frozen=True)
class Layout:
    """The meaning of an array's axes.

    ``shape`` is (N, H, W) or, in colour, (N, H, W, C); ``doubt`` describes another possible meaning of the axes.
    """

    shape: tuple[int, ...]
    is_volume: bool
    doubt: str | None = None

    @staticmethod
    def of(path: Path, shape: tuple[int, ...]) -> "Layout":
        """Derive the meaning of axes from their lengths; axes of length 1 are ignored if there are more than two.

        Raises:
            ImageError: if there are too few or too many axes.
        """
        if not shape or min(shape) < 1:
            check_size(path, shape)
        sizes = [size for size in shape if size != 1] if len(shape) > 2 else list(shape)
        words = " x ".join(map(str, shape))
        if len(shape) < 2 or len(sizes) > 4 or (len(sizes) == 4 and sizes[-1] not in _COLOURS):
            raise ImageError(f"{path}: an array of {words} values; expected an image or a stack of them. {_WAYS}")
        sizes = [1] * (2 - len(sizes)) + sizes
        if len(sizes) == 2:
            return Layout((1, *sizes), is_volume=False)
        if len(sizes) == 4:
            return Layout(tuple(sizes), is_volume=True)
        first, _, last = sizes
        doubt = (
            f"an array of {words} values: its first axis may be channels, as in PyTorch" if first in _COLOURS else None
        )
        if last in _COLOURS:
            return Layout((1, *sizes), is_volume=False, doubt=doubt)
        if doubt is None and last < min(sizes[:2]):
            doubt = f"an array of {words} values: its last axis is the shortest, so that it may be that of the slices"
        return Layout(tuple(sizes), is_volume=True, doubt=doubt)


class NumpySource(Source):
    """An image (H, W[, C]), or a stack of images (N, H, W[, C]); bool, whole or floating-point numbers.

    Colours are bytes, other whole numbers, or floating-point numbers from 0 to 1.
    """

    _image: Layout

    @abstractmethod
    def _slice(self, index: int, *, is_mask: bool) -> Array:
        """Return a copy of one stored slice, (H, W) or (H, W, C), of the image or of the mask."""

    def __len__(self) -> int:
        return self._image.shape[0]

    def values(self, index: int) -> Array:
        if self._image.doubt is not None:
            raise ImageError(f"{self.path}: {self._image.doubt}. {_WAYS}")
        array = self._slice(index, is_mask=False)
        if array.dtype == bool:
            return np.where(array, 255, 0).astype(np.uint8)
        if array.ndim == 2:
            return array
        if array.dtype.kind == "f" and self._has_shares:
            return np.round(array[..., :3] * 255).astype(np.uint8)
        return array[..., :3]

    @cached_property
    def _has_shares(self) -> bool:
        """Whether all colour values are from 0 to 1."""
        slices = (self._slice(index, is_mask=False)[..., :3] for index in range(len(self)))
        return all(bool(((one >= 0) & (one <= 1)).all()) for one in slices)

    def as_stored(self, index: int) -> Array:
        return self._slice(index, is_mask=True)

    def output_formats(self) -> list[OutputFormat]:
        return [OutputFormat.NPY]


def _plain(array: Array) -> Array:
    """Return a copy in the byte order of this machine, with floating-point numbers as float32."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # values too large for 32 bits become infinite
            return np.array(array, np.float32)
    return np.array(array, array.dtype.newbyteorder("="))


class NumpyArray(NumpySource):
    """The array of a ``.npy`` file, read slice by slice."""

    kind = "npy"
    suffixes = (SUFFIX,)
    signatures = ((0, b"\x93NUMPY"),)

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        self.path = path
        with faults_of(path, "a file of np.save"):
            header = header_of(path)
            self._image = Layout.of(path, header.shape)
            check_size(path, self._image.shape[1:])
        self.is_volume = self._image.is_volume
        if self.is_volume:
            refuse_axis(path, axis)

    def _slice(self, index: int, *, is_mask: bool) -> Array:
        with faults_of(self.path, "a file of np.save"):
            return _plain(mapped(self.path).reshape(self._image.shape)[index])


class NumpyArchive(NumpySource):
    """The arrays of a ``.npz`` file: its only array, or arrays named as images and masks are.

    A file with both is an image and its own mask. Arrays of fewer than two axes, such as a spacing, are ignored.
    """

    kind = "npz"
    suffixes = (".npz",)

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        self.path = path
        with faults_of(path, "a file of np.savez"):
            headers = _arrays_of(path)
            image, mask = _chosen(path, headers)
            self._image = Layout.of(path, headers[image].shape)
            self._mask = Layout.of(path, headers[mask].shape)
            if self._image.shape[:3] != self._mask.shape[:3]:
                sizes = [" x ".join(map(str, headers[name].shape)) for name in (image, mask)]
                raise ImageError(
                    f"{path}: its array {image} has {sizes[0]} values, but {mask} has {sizes[1]}. Both must have the "
                    "same pixels"
                )
            self._arrays = {
                is_mask: _plain(archive_array(path, name, headers[name]))
                for is_mask, name in ((False, image), (True, mask))
            }
        self.is_volume = self._image.is_volume
        if self.is_volume:
            refuse_axis(path, axis)

    @classmethod
    def has_signature(cls, head: bytes) -> bool:
        """Whether a file is a ZIP file whose first member is an array; other ZIP files are documents or programs."""
        length = int.from_bytes(head[26:28], "little")
        return head[:4] == b"PK\3\4" and head[30 : 30 + length].endswith(SUFFIX.encode())

    def _slice(self, index: int, *, is_mask: bool) -> Array:
        layout = self._mask if is_mask else self._image
        return np.array(self._arrays[is_mask].reshape(layout.shape)[index])


def _arrays_of(path: Path) -> dict[str, Header]:
    return {name: header for name, header in archive_headers(path).items() if len(header.shape) > 1}


def holds_image_and_mask(path: Path) -> bool:
    """Whether a file is an archive with an image and its mask; the pixels are not read."""
    try:
        with faults_of(path, "a file of np.savez"):
            image, mask = _chosen(path, _arrays_of(path))
    except ImageError:
        return False
    return image != mask


def _chosen(path: Path, headers: Mapping[str, Header]) -> tuple[str, str]:
    """Return the names of the arrays for the image and the mask; a single array is used for both.

    Raises:
        ImageError: if there is no array, or there are several without a known name.
    """
    image, mask = (
        next((name for known in names for name in headers if name.lower() == known), None)
        for names in (_IMAGE_NAMES, _LABEL_NAMES)
    )
    first = next(iter(headers), None)
    if len(headers) == 1 and first is not None:
        return first, first
    if image is None and mask is None:
        found = ", ".join(headers) or "none of two axes or more"
        raise ImageError(
            f"{path}: which of its arrays is the image cannot be told: {found:.200}. Save the one that is wanted by "
            "itself, or call them image and mask"
        )
    return image or str(mask), mask or str(image)
