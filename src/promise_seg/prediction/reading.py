"""Accepted types of images, and how their pixels are read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from promise_seg.arguments import check_place, whole_number
from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.formats.series_files import dicom_files
from promise_seg.images.formats.source import Source
from promise_seg.images.reading import Reading


@dataclass(frozen=True)
class Slice:
    """One slice of a volume: the path or the opened volume, and the index of the slice, counting from 0."""

    volume: str | Path | Source
    index: int


ImageLike = str | Path | Source | Slice | Uint8Array | Image.Image
"""A path, an opened file, a slice of a volume, pixels (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image."""

_PLAIN_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def read_rgb(image: object, reading: Reading, index: int | None = None) -> Uint8Array:
    """Read an image as RGB pixels (H, W, 3) uint8 in the image frame.

    Args:
        image: an :data:`ImageLike`. Files are read like those that the model was trained on. Pixels are used as they
            are; if ``reading`` selects channels, they may have any number of channels: (H, W, C).
        reading: how files are read.
        index: index of the slice, if the image is a volume.

    Raises:
        ImageError: if the image cannot be read, has no such slice, has several slices without an index, or is not an
            image.
    """
    place, index = opened(image, reading, index)
    if isinstance(place, Source):
        return _of_source(reading.opened(place), reading, index)
    if isinstance(image, Image.Image):
        return reading.of_pixels(_of_pil(image))
    return reading.of_pixels(_of_array(np.asarray(image), any_channels=reading.channels is not None))


def read_rgb_of_size(image: object, reading: Reading, shape: tuple[int, ...], what: str = "mask") -> Uint8Array:
    """Read an image like :func:`read_rgb`, and check that it has the height and width of a mask or instance map.

    Args:
        image: an :data:`ImageLike`.
        reading: how files are read.
        shape: expected (H, W).
        what: what the size belongs to, for the message.

    Raises:
        ImageError: if the image cannot be read.
        SettingsError: if the image has another size.
    """
    rgb = read_rgb(image, reading)
    if rgb.shape[:2] != shape:
        raise SettingsError(
            f"the image is {rgb.shape[1]} x {rgb.shape[0]} pixels, and the {what} {shape[1]} x {shape[0]}. Give the "
            "image that was predicted"
        )
    return rgb


def opened(image: object, reading: Reading, index: int | None = None) -> tuple[object, int | None]:
    """Open an image if it is a path, and return it with the index of the requested slice.

    Raises:
        ImageError: if the file cannot be opened. For a folder without DICOM files, the message names
            ``predict_folder``.
    """
    place, index = (image.volume, image.index) if isinstance(image, Slice) else (image, index)
    index = None if index is None else whole_number(index, "index of the slice")
    if isinstance(place, str | Path):
        check_place(place, "image")
        try:
            return reading.open(place), index
        except ImageError as error:
            if Path(place).is_dir() and not dicom_files(Path(place)):
                raise ImageError(f"{error}. To predict all images of a folder, use predict_folder") from error
            raise
    return place, index


def name_of(image: object, index: int | None = None) -> str:
    """Return the name of an image in messages: its path, with the index of the slice if there is one."""
    place, index = (image.volume, image.index) if isinstance(image, Slice) else (image, index)
    path = place.path if isinstance(place, Source) else place
    if not isinstance(path, str | Path):
        return "the image"
    return str(path) if index is None else f"{path}#{index}"


def _of_source(source: Source, reading: Reading, index: int | None) -> Uint8Array:
    if index is None and len(source) > 1:
        raise ImageError(f"{source.path}: has {len(source)} slices; give the index of one, or use predict_volume")
    if not 0 <= (index or 0) < len(source):
        raise ImageError(f"{source.path}: has no slice {index}; it has {len(source)}, counted from 0")
    return reading.rgb(source, index or 0)


def _of_pil(image: Image.Image) -> Uint8Array:
    """Convert a PIL image like a file: rotated by its EXIF orientation, palettes as colours, without transparency."""
    if image.mode not in _PLAIN_MODES:
        raise ImageError(
            f"an image of PIL must have 8 bits a channel, got mode {image.mode}: give the path of the file instead, or "
            "convert it to L or RGB"
        )
    return _of_array(np.asarray(ImageOps.exif_transpose(image).convert("RGB")))


def _of_array(array: Array, *, any_channels: bool = False) -> Uint8Array:
    if any_channels and array.dtype == np.uint8 and array.ndim in (2, 3) and array.size:
        return array
    shape_fits = array.ndim in (2, 3) and (array.ndim == 2 or array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not shape_fits or not array.size:
        raise ImageError(
            f"an image array must be uint8 of shape (H, W), (H, W, 3) or (H, W, 4) with at least one pixel, got "
            f"{array.dtype} {array.shape}{_way_out(array)}"
        )
    return np.repeat(array[..., None], 3, 2) if array.ndim == 2 else np.ascontiguousarray(array[..., :3])


def _way_out(array: Array) -> str:
    """Return advice on how to convert an array to an image; empty if there is none."""
    if not array.size or array.ndim not in (2, 3):
        return ""
    if array.ndim == 3 and array.shape[2] not in (3, 4) and array.shape[0] in (1, 3, 4):
        moved = "array[0]" if array.shape[0] == 1 else "array.transpose(1, 2, 0)"
        return f". Its first axis seems to be channels: give {moved}{'' if array.dtype == np.uint8 else ', as uint8'}"
    if array.dtype == np.uint8:
        return ""
    if array.dtype == np.bool_:
        return ". Convert it with array.astype('uint8') * 255"
    top = (
        "multiply values in [0, 1] by 255" if np.issubdtype(array.dtype, np.floating) else "divide 16-bit values by 257"
    )
    return (
        f". Scale its values to 0-255 as in the training images (for example, {top}) and convert it with "
        ".astype('uint8'), or give the path of the file, which is read as in training"
    )
