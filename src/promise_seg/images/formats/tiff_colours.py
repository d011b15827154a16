"""Colour spaces of TIFFs other than RGB: YCbCr is converted if possible, and all others are refused."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from promise_seg.arrays import Array
from promise_seg.errors import ImageError

_REFUSED: dict[int, str] = {
    tifffile.PHOTOMETRIC.SEPARATED: "CMYK",
    tifffile.PHOTOMETRIC.CIELAB: "CIELAB",
    tifffile.PHOTOMETRIC.ICCLAB: "CIELAB",
    tifffile.PHOTOMETRIC.ITULAB: "CIELAB",
    tifffile.PHOTOMETRIC.LOGL: "logarithms of luminance (LogL)",
    tifffile.PHOTOMETRIC.LOGLUV: "logarithms of luminance (LogLuv)",
}
_IMAGE_CODES = (
    6, 7, 22610, 33003, 33004, 33005, 33007, 34712, 34892, 34927, 34933, 34934, 48124, 50001, 50002, 52546,
)  # fmt: skip
"""The compressions for images, such as JPEG, whose colours are decoded to RGB, by their values of the tag."""
_APERIO_YCBCR = 33003
"""JPEG 2000 in YCbCr, whatever else the header states. Source: https://openslide.org/formats/aperio/."""
_SUBSAMPLING, _COEFFICIENTS, _BLACK_WHITE = 530, 529, 532
_EXPECTED = {
    _SUBSAMPLING: (1, 1),
    _COEFFICIENTS: (0.299, 0.587, 0.114),
    _BLACK_WHITE: (0, 255, 128, 255, 128, 255),
}
_FRACTIONS = (_COEFFICIENTS, _BLACK_WHITE)


def is_stored_as_ycbcr(path: Path, file: tifffile.TiffFile, page: tifffile.TiffPage) -> bool:
    """Whether the decoded values of a page are YCbCr, to be converted by :func:`rgb_of_ycbcr`.

    Raises:
        ImageError: if the colours are in a colour space, or a kind of YCbCr, that cannot be read.
    """
    if page.photometric in _REFUSED:
        raise ImageError(f"{path}: a TIFF in {_REFUSED[page.photometric]}; save it as RGB")
    if page.compression == _APERIO_YCBCR and file.is_svs and page.samplesperpixel == 3:
        return bool(page.dtype == np.uint8)
    if page.photometric != tifffile.PHOTOMETRIC.YCBCR or page.compression in _IMAGE_CODES:
        return False
    if page.dtype != np.uint8 or int(page.samplesperpixel) < 3 or not _has_usual_colours(page):
        raise ImageError(f"{path}: a TIFF in YCbCr of an unusual kind; save it as RGB")
    return True


def _has_usual_colours(page: tifffile.TiffPage) -> bool:
    """Whether the colours of a page have full resolution, and the coefficients and the range of JPEG."""
    for code, expected in _EXPECTED.items():
        tag = page.tags.get(code)
        if tag is None:
            if code == _SUBSAMPLING:  # its default is half of the resolution
                return False
            continue
        values = np.asarray(tag.value, np.float64)
        if code in _FRACTIONS:
            values = values[::2] / np.maximum(values[1::2], 1)
        if values.shape != (len(expected),) or not np.allclose(values, expected, atol=1e-3):
            return False
    return True


def rgb_of_ycbcr(values: Array) -> Array:
    """Convert 8-bit YCbCr values (H, W, 3 or more samples) to RGB as JPEG does; further samples are unchanged."""
    colours = np.ascontiguousarray(values[..., :3])
    image = Image.frombytes("YCbCr", (colours.shape[1], colours.shape[0]), colours.tobytes())
    return np.concatenate([np.asarray(image.convert("RGB")), values[..., 3:]], -1)
