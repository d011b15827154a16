"""PNG, JPEG, BMP, WebP and whatever else Pillow reads."""

import warnings
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from promise_seg.arrays import Array
from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.images.formats.limits import SparingFile, check_size
from promise_seg.images.formats.source import Source
from promise_seg.vocabulary import Axis

_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "GIF", "JPEG2000", "PPM", "PCX", "TGA")
"""The formats of Pillow that are read; for some others it starts a program that may execute the file's content."""
_ORIENTATION = 0x0112
_NEARLY_GREY = 16  # as far as the channels of a grey picture are apart after JPEG


_OPENING = Lock()


def _opened(file: SparingFile) -> Image.Image:
    """A picture of which the header is read. Pillow's own limit, lower than ours for grey, is off meanwhile."""
    with _OPENING:
        Image.init()  # once; otherwise Pillow knows a format only when it meets the first of its files
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


class UnrecognisedError(ImageError):
    """Nothing in a file tells a format that Pillow reads."""


class Picture(Source):
    """One picture, turned as its EXIF orientation says; of an animation the first frame.

    Transparency is dropped, palettes are looked up, 16-bit and float grey values kept.
    """

    kind = "picture"
    suffixes = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        del axis
        self.path = path
        try:
            with warnings.catch_warnings(), SparingFile(path) as file:
                warnings.simplefilter("ignore")  # Pillow warns of large pictures; the limit is ours
                image = _opened(file)
                check_size(path, (image.height, image.width, len(image.getbands())))
                image.load()
                self._turned = image.getexif().get(_ORIENTATION, 1)
                self._image = ImageOps.exif_transpose(image)
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

    def as_stored(self, index: int) -> Array:
        """Labels: indices of a palette, but for one of two greys, which are black and white; 0 and 255 of single bits.

        It is the palette that decides, not which of its entries a file uses: a class has one number in all files.

        Colours stay colours, unless the three channels are as good as the same.
        """
        image = self._image
        if image.mode == "P":
            entries = np.unique(np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3), axis=0)
            is_grey = (entries == entries[:, :1]).all()
            return self._converted("RGB")[..., 0] if len(entries) <= 2 and is_grey else np.asarray(image)
        if self._is_deep or image.mode == "L":
            return np.asarray(image)
        if image.mode in {"LA", "La", "RGBA", "RGBa", "PA"} and np.ptp(np.asarray(image)[..., -1]):
            raise ImageError(f"{self.path}: a mask with transparency, which may be what is meant; save it without")
        colours = self._converted("L" if image.mode in {"1", "LA", "La"} else "RGB")
        if colours.ndim == 3 and (colours.max(2) - colours.min(2)).max() <= _NEARLY_GREY:
            return self._converted("L")
        return colours

    def differs_by(self, index: int) -> dict[str, object]:
        return {} if self._turned == 1 else {"turned": self._turned}
