"""Pictures that look the same although their files differ: copies at another size, quality or format."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

Uint8Array = npt.NDArray[np.uint8]

MOST_BITS = 8
"""Of 64 that perceptual hashes of two near-duplicates may differ in."""
LEAST_CORRELATION = 0.99
"""Of their thumbnails, which decides: hashes alone take frames of different scenes for each other."""
_THUMBNAIL = 32  # as large as the hash shrinks pictures to
_AT_ONCE = 256


@dataclass
class Looks:
    """How many pictures look: a hash and a thumbnail of each, about a kilobyte, whatever their size."""

    hashes: list[int] = field(default_factory=list)
    thumbnails: list[Uint8Array] = field(default_factory=list)

    def add(self, image: Uint8Array) -> None:
        """Add a picture (H, W, 3) uint8."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        small = np.asarray(cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA), np.uint8)
        self.thumbnails.append(small)
        bits = imagehash.phash(Image.fromarray(small)).hash.ravel()
        self.hashes.append(int("".join("1" if bit else "0" for bit in bits), 2))

    def alike(self, splits: list[str]) -> list[tuple[int, int]]:
        """Pairs (i, j), i < j, of pictures in different splits that look the same, each picture in one pair at most.

        Neighbours in a video look like each other, and so all like a copy of one of them: the closest pair counts.
        """
        pairs = sorted(self._close(splits), reverse=True)
        taken: set[int] = set()
        chosen = []
        for _, i, j in pairs:
            if not {i, j} & taken:
                taken |= {i, j}
                chosen.append((i, j))
        return chosen

    def _close(self, splits: list[str]) -> Iterator[tuple[float, int, int]]:
        hashes = np.array(self.hashes, np.uint64)
        names = np.array(splits)
        for start in range(0, len(hashes), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            apart = np.bitwise_count(hashes[part, None] ^ hashes[None])
            close = (apart <= MOST_BITS) & (names[part, None] != names[None])
            for i, j in np.argwhere(close):
                first, second = int(i) + start, int(j)
                if first < second and (correlation := self._correlation(first, second)) >= LEAST_CORRELATION:
                    yield correlation, first, second

    def _correlation(self, first: int, second: int) -> float:
        one, other = (self.thumbnails[i].astype(np.float64).ravel() for i in (first, second))
        one, other = one - one.mean(), other - other.mean()
        size = float(np.linalg.norm(one) * np.linalg.norm(other))
        return float(one @ other) / size if size else 0.0  # pictures without contrast are not compared
