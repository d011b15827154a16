"""PNG, JPEG, BMP, WebP and other formats that Pillow reads."""

import warnings
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, UnidentifiedImageError

from promise_seg.arrays import Array
from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.images.formats.deep_colours import bits_of_jpeg_2000, deep_values, depth_of, tile_of
from promise_seg.images.formats.label_values import labels_of_palette
from promise_seg.images.formats.limits import SparingFile, check_size
from promise_seg.images.formats.orientation import upright
from promise_seg.images.formats.source import Source
from promise_seg.vocabulary import Axis

_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "GIF", "JPEG2000", "PPM", "PCX", "TGA")
"""The formats of Pillow that are read; for some others, it starts a program that may execute the file's content."""
_ORIENTATION = 0x0112
_TURNS = dict(zip(range(2, 9), (
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), strict=True))  # fmt: skip
"""The operation that turns an image upright, for each orientation except the upright one."""
NEARLY_GREY = 16
"""The greatest difference between the channels of a grey image after lossy compression."""


_OPENING = Lock()


def _opened(file: SparingFile) -> Image.Image:
    """Open an image and read its header, without Pillow's own size limit, which is lower than ours for grey."""
    with _OPENING:
        Image.init()  # once; otherwise Pillow loads a format only with its first file
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


class UnrecognisedError(ImageError):
    """The format of a file is not one that Pillow reads."""


class Picture(Source):
    """A single image, turned upright by its EXIF orientation; for an animation, its first frame.

    Transparency is dropped, palettes are resolved to colours, and grey levels and colours of up to 16 bits are kept.
    """

    kind = "picture"
    suffixes = (
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp", ".gif", ".jp2", ".j2k", ".pgm", ".ppm",
        ".pbm", ".pnm", ".tga", ".pcx",
    )  # fmt: skip

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        del axis
        self.path = path
        try:
            with warnings.catch_warnings(), SparingFile(path) as file:
                warnings.simplefilter("ignore")  # Pillow warns about large images; our own limit applies
                image = _opened(file)
                check_size(path, (image.height, image.width, len(image.getbands())))
                self._scale, self._bits = _scale_of(image)
                self._shift = _shift_of(image, file)
                self._has_palettes_only = image.format == "GIF"
                depth = depth_of(image, file)
                image.load()
                deep = None if depth is None else deep_values(path, file, image, depth)
                self._image, self.turned = _upright(image)
                self._deep = None if deep is None else upright(deep, self.turned)
        except UnidentifiedImageError:
            raise UnrecognisedError(f"{path}: not an image that can be read") from None
        except PromiseError:
            raise
        except MemoryError:
            raise ImageError(f"{path}: not enough memory to decode it") from None
        except Exception as error:  # Pillow's plugins raise whatever their parsing runs into
            raise ImageError(
                f"{path}: damaged or truncated: {first_line(error)}. Copy it again from its source"
            ) from error

    def __len__(self) -> int:
        return 1

    @property
    def _is_deep(self) -> bool:
        return self._image.mode.startswith("I") or self._image.mode == "F"

    def values(self, index: int) -> Array:
        image = self._image
        if self._deep is not None:
            return _without_alpha(self._deep)
        if self._is_deep or image.mode == "L":
            return np.asarray(image)
        if image.mode in {"1", "LA", "La"}:
            return self._converted("L")
        return self._converted("RGB")

    def _converted(self, mode: str) -> Array:
        try:
            return np.asarray(self._image.convert(mode))
        except ValueError:  # LAB to grey, among others
            raise ImageError(f"{self.path}: a picture in {self._image.mode}; save it as RGB or grey") from None

    @property
    def label_note(self) -> str | None:
        return self._labels[1]

    def as_stored(self, index: int) -> Array:
        """Return labels: for palettes, see :func:`labels_of_palette`; 0 and 255 for single bits; never stretched.

        Colours stay colours, unless the three channels are nearly equal.
        """
        return self._labels[0]

    @cached_property
    def _labels(self) -> tuple[Array, str | None]:
        """Labels (H, W) or colours (H, W, 3), and a note if their meaning is uncertain."""
        image = self._image
        if image.mode == "P":
            palette = np.array(image.getpalette("RGB") or [0, 0, 0], np.uint8).reshape(-1, 3)
            indices = np.asarray(image)
            lacking = int(indices.max()) + 1 - len(palette)
            if lacking > 0:  # Pillow shows missing entries as black
                palette = np.pad(palette, ((0, lacking), (0, 0)))
            return labels_of_palette(indices, palette, of_grey=self._has_palettes_only)
        if self._is_deep or image.mode == "L":
            return self._unstretched(np.asarray(image))
        whole = np.asarray(image) if self._deep is None else self._deep
        if image.mode in {"LA", "La", "RGBA", "RGBa", "PA"} and np.ptp(whole[..., -1]):
            raise ImageError(
                f"{self.path}: a mask with transparency, which may be the mask itself. Save it without transparency"
            )
        if self._deep is not None:
            array = _without_alpha(self._deep)
            return (array[..., 0] if array.ndim == 3 and (array == array[..., :1]).all() else array), None
        colours = self._converted("L" if image.mode in {"1", "LA", "La"} else "RGB")
        if colours.ndim == 3 and (colours.max(2) - colours.min(2)).max() <= NEARLY_GREY:
            return self._converted("L"), None
        return colours, None

    def _unstretched(self, values: Array) -> tuple[Array, str | None]:
        """Undo Pillow's stretching of values to 8 or 16 bits if possible; otherwise return them with a note."""
        if self._shift:
            return values >> self._shift, None
        if self._scale is not None:
            most = 255 if values.dtype == np.uint8 else 65535
            return np.rint(values.astype(np.float64) * (self._scale / most)).astype(values.dtype), None
        if self._bits is not None and not np.isin(values, (0, 255)).all():
            return values, (
                f"has {self._bits} bits for each grey level, whose values are read, as other programs do, as if they "
                f"had 8: 1 as {255 // (2**self._bits - 1)}. If its numbers are classes, save it with 8 bits"
            )
        return values, None

    def differs_by(self, index: int) -> dict[str, object]:
        """Return everything that earlier versions read otherwise: the orientation, and colours of more than 8 bits.

        Grey with transparency counts as colours. Features of their 8-bit values may have been stored.
        """
        found: dict[str, object] = {} if self._deep is None else {"bits": 16}
        return found if self.turned == 1 else found | {"turned": self.turned}


def _scale_of(image: Image.Image) -> tuple[int | None, int | None]:
    """Return the maximum that a PGM declares, and the bit depth of a grey PNG with 2 or 4 bits; otherwise ``None``.

    Pillow stretches both to 8 or 16 bits, and reports the original values only before it decodes the pixels.
    """
    codec, _, arguments = tile_of(image)
    if codec in {"ppm", "ppm_plain"} and isinstance(arguments, tuple) and isinstance(arguments[-1], int):
        return (arguments[-1], None) if image.mode in {"L", "I"} and arguments[-1] not in {255, 65535} else (None, None)
    return None, {"L;2": 2, "L;4": 4}.get(str(arguments)) if codec == "zip" else None


def _shift_of(image: Image.Image, file: SparingFile) -> int:
    """Return the number of bits by which Pillow shifts the grey levels of a JPEG 2000, to fill 8 or 16 bits."""
    if image.format != "JPEG2000" or image.mode not in {"L", "I;16"}:
        return 0
    bits = bits_of_jpeg_2000(file)
    return (8 if bits <= 8 else 16) - bits if 0 < bits <= 16 else 0


def _without_alpha(values: Array) -> Array:
    """Return colours (H, W, 3) or grey levels (H, W) of an image (H, W, samples) with 2 to 4 samples."""
    return values[..., :3] if values.shape[2] > 2 else values[..., 0]


def _upright(image: Image.Image) -> tuple[Image.Image, int]:
    """Return an image turned upright by its EXIF, and its stored orientation, 1 if unknown.

    EXIF that cannot be parsed and invalid orientations are ignored, because the pixels are still valid.
    """
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow raises whatever its parsing runs into
        return image, 1
    if orientation not in _TURNS:
        return image, 1
    return image.transpose(_TURNS[orientation]), orientation
