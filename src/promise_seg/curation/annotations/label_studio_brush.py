"""Run lengths of Label Studio's brush, in its own format: a bit stream of an image with four channels.

Source: ``decode_rle`` of label-studio-converter (Apache-2.0), which follows ``@thi.ng/rle-pack``.
"""

from collections.abc import Sequence

import numpy as np

from promise_seg.arrays import BoolArray, Uint8Array
from promise_seg.curation.annotations.shapes import BrokenShapeError
from promise_seg.images.formats.limits import max_values

_CHANNELS = 4


class _Bits:
    """A reader of numbers from a bit stream, most significant bit first."""

    def __init__(self, content: Uint8Array) -> None:
        self._bits = np.unpackbits(content)
        self._at = 0

    def number(self, size: int) -> int:
        return int(self.numbers(1, size)[0])

    def numbers(self, count: int, size: int) -> np.ndarray:
        end = self._at + count * size
        if end > len(self._bits):
            raise BrokenShapeError("has a brush that ends too early")
        bits = self._bits[self._at : end].reshape(count, size).astype(np.int64)
        self._at = end
        return np.asarray(bits @ (1 << np.arange(size - 1, -1, -1, dtype=np.int64)))


def unpacked_brush(content: Sequence[int], size: tuple[int, int]) -> BoolArray:
    """Return the mask (H, W) of a brush: pixels whose fourth channel, the opacity, is not 0.

    Args:
        content: the bytes, as numbers from 0 to 255.
        size: width and height of the image.

    Raises:
        BrokenShapeError: if the content cannot be unpacked, or has another size.
    """
    try:
        bits = _Bits(np.array(content, np.uint8))
    except (OverflowError, ValueError, TypeError):
        raise BrokenShapeError("has a brush that is not a list of bytes") from None
    width, height = size
    if min(size) < 1 or width * height > max_values():
        raise BrokenShapeError(f"has a brush of an image of {width} x {height} pixels, which cannot be read")
    count = bits.number(32)
    if count != width * height * _CHANNELS:
        raise BrokenShapeError(
            f"has a brush of {count // _CHANNELS} pixels, but its image has {width} x {height} pixels"
        )
    word = bits.number(5) + 1
    lengths = [bits.number(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    at = 0
    while at < count:
        is_run = bits.number(1)
        end = at + 1 + bits.number(lengths[bits.number(2)])
        if end > count:
            raise BrokenShapeError("has a brush with more values than pixels")
        values[at:end] = bits.number(word) if is_run else bits.numbers(end - at, word)
        at = end
    return np.asarray(values.reshape(height, width, _CHANNELS)[..., 3] > 0)
