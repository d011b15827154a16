"""Compressed masks of slices, with at most about one bit per pixel."""

import zlib
from collections.abc import Sequence

import numpy as np

from promise_seg.arrays import BoolArray


class PackedMasks:
    """The mask (H, W) of each slice of a volume, initially empty, packed with eight pixels per byte and compressed."""

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
        """Return an independent copy of the masks."""
        other = PackedMasks(self._shapes)
        other._packed = list(self._packed)
        return other

    def __setitem__(self, number: int, mask: BoolArray) -> None:
        self._packed[number] = zlib.compress(np.packbits(mask).tobytes(), 1) if mask.any() else None
