"""Masks of slices, at most about a bit for each pixel."""

import zlib
from collections.abc import Sequence

import numpy as np

from promise_seg.arrays import BoolArray


class PackedMasks:
    """A mask for each slice of a volume, (H, W), by default empty: eight pixels to a byte, and these compressed."""

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        self._shapes = list(shapes)
        self._packed: list[bytes | None] = [None] * len(self._shapes)

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, number: int) -> BoolArray:
        shape, packed = self._shapes[number], self._packed[number]
        if packed is None:
            return np.zeros(shape, bool)
        bits = np.frombuffer(zlib.decompress(packed), np.uint8)
        return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).view(bool)

    def copied(self) -> "PackedMasks":
        """Return the same masks, to be changed apart from these."""
        other = PackedMasks(self._shapes)
        other._packed = list(self._packed)
        return other

    def __setitem__(self, number: int, mask: BoolArray) -> None:
        self._packed[number] = zlib.compress(np.packbits(mask).tobytes(), 1) if mask.any() else None
