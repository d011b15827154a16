"""Masks as compressed bits of a bounding box, the form in which the API sends and the project stores them."""

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from promise_seg.annotator.refusals import invalid
from promise_seg.arrays import BoolArray

Box = tuple[int, int, int, int]
"""Left, top, width, height."""


@dataclass(frozen=True)
class MaskBits:
    """A mask, stored as the compressed bits of a box of whole pixels.

    Args:
        box: left, top, width and height of the box, in pixels of the image.
        bits: base64 of the zlib-compressed bits, row by row without padding, with the first pixel in the highest bit.
    """

    box: Box = (0, 0, 0, 0)
    bits: str = ""

    @classmethod
    def of(cls, mask: BoolArray, from_left: int = 0, from_top: int = 0) -> "MaskBits":
        """Return the bits of a mask (H, W) in its bounding box.

        Args:
            mask: the mask of an image, or of a window of it.
            from_left, from_top: the position of the window in the image, in pixels.
        """
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return EMPTY
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        packed = np.packbits(mask[top:bottom, left:right].ravel())
        bits = base64.b64encode(zlib.compress(packed.tobytes(), 1)).decode("ascii")
        return cls((left + from_left, top + from_top, right - left, bottom - top), bits)

    @property
    def is_empty(self) -> bool:
        """Whether the mask has no foreground pixel."""
        return self.box[2] == 0 or self.box[3] == 0

    def mask(self, height: int, width: int) -> BoolArray:
        """Return the mask as an array (height, width) of bool.

        Raises:
            Refusal: if the box is not inside of the image, or the bits are damaged or too few or too many for it.
        """
        full = np.zeros((height, width), bool)
        left, top, across, down = self.box
        if min(self.box) < 0 or left + across > width or top + down > height:
            raise invalid("mask", f"the box {list(self.box)} does not lie inside of {width} x {height} pixels")
        if not self.is_empty:
            full[top : top + down, left : left + across] = self._unpacked().reshape(down, across)
        return full

    def _unpacked(self) -> BoolArray:
        count = self.box[2] * self.box[3]
        size = (count + 7) // 8
        try:
            reader = zlib.decompressobj()
            data = reader.decompress(base64.b64decode(self.bits, validate=True), size + 1)
        except (zlib.error, binascii.Error, ValueError) as error:
            raise invalid("mask", f"its bits are not base64 of zlib data: {error}") from None
        if len(data) != size or reader.unconsumed_tail:
            raise invalid("mask", f"a box of {self.box[2]} x {self.box[3]} pixels needs {size} bytes of bits")
        return np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(bool)

    def as_json(self) -> dict[str, Any]:
        """Return the mask as the API sends it, see docs/annotator-api.md."""
        return {"box": list(self.box), "bits": self.bits}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "MaskBits":
        """Return the mask that :meth:`as_json` described."""
        left, top, width, height = value["box"]
        return cls((left, top, width, height), value["bits"])


EMPTY = MaskBits()
