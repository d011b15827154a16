"""Check the sizes that JPEG, JPEG-LS and JPEG 2000 codestreams declare, because decoders trust them."""

import re
from pathlib import Path

from promise_seg.errors import ImageError

_JPEG = re.compile(rb"\xff(?=[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7](..).(..)(..)(.))", re.DOTALL)
"""A frame header: its length, precision, height, width and number of components. Source: ITU-T T.81, B.2.2."""
_JPEG_2000 = re.compile(rb"\xff\x4f\xff\x51(?=.{4}(.{32})(..))", re.DOTALL)
"""A SIZ segment: width, height, offsets and tiles, 4 bytes each, and components. Source: ITU-T T.800, A.5.1."""
_SLACK = 4
"""The tolerated ratio: strips may be padded, and a file may not count its colour channels."""


def check_codes(path: Path, data: bytes, values: int) -> None:
    """Check that compressed pixels do not decode to far more than the ``values`` that their file declares.

    Markers cannot occur inside compressed data, so headers are found without parsing the rest.

    Raises:
        ImageError: if the pixels would decode to more than 4 times as many values.
    """
    sizes = [height * width * count for height, width, count in (*_jpeg(data), *_jpeg_2000(data))]
    if max(sizes, default=0) > _SLACK * values:
        raise ImageError(
            f"{path}: damaged: its compressed pixels declare {max(sizes):,} values, but its header declares {values:,}"
        )


def _jpeg(data: bytes) -> list[tuple[int, int, int]]:
    headers = [tuple(int.from_bytes(group) for group in found.groups()) for found in _JPEG.finditer(data)]
    return [(height, width, count) for length, height, width, count in headers if length == 8 + 3 * count]


def _jpeg_2000(data: bytes) -> list[tuple[int, int, int]]:
    sizes = []
    for found in _JPEG_2000.finditer(data):
        right, bottom, left, top = (int.from_bytes(found[1][at : at + 4]) for at in (0, 4, 8, 12))
        sizes.append((max(0, bottom - top), max(0, right - left), int.from_bytes(found[2])))
    return sizes
