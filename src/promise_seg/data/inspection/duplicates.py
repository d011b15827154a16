"""Pictures that look the same although their files differ: at another size, quality or format, mirrored or turned."""

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
_POSITIONS = 8


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their numbers, ``first`` the lower one; ``turned`` if one is mirrored or turned by quarters."""

    first: int
    second: int
    turned: bool


@dataclass
class Looks:
    """How many pictures look: hashes and a thumbnail of each, about a kilobyte, whatever their size.

    Each picture has a hash for each of its eight positions (:func:`positions`).
    """

    hashes: list[list[int]] = field(default_factory=list)
    thumbnails: list[Uint8Array] = field(default_factory=list)

    def add(self, image: Uint8Array) -> None:
        """Add a picture (H, W, 3) uint8."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        small = np.asarray(cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA), np.uint8)
        self.thumbnails.append(small)
        self.hashes.append([_hash(position) for position in positions(small)])

    def alike(self, splits: list[str]) -> list[Pair]:
        """Pictures in different splits that look the same, each picture in one pair at most.

        Neighbours in a video look like each other, and so all like a copy of one of them: the closest pair counts.
        """
        pairs = sorted(self._close(splits), key=lambda found: (-found[0], found[1].first, found[1].second))
        taken: set[int] = set()
        chosen = []
        for _, pair in pairs:
            if not {pair.first, pair.second} & taken:
                taken |= {pair.first, pair.second}
                chosen.append(pair)
        return chosen

    def _close(self, splits: list[str]) -> Iterator[tuple[float, Pair]]:
        """Pairs with their correlation: the first picture as it is, the second in each of its positions."""
        hashes = np.array(self.hashes, np.uint64).reshape(-1, _POSITIONS)
        names = np.array(splits)
        for start in range(0, len(hashes), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            later = np.arange(len(hashes))[None] > np.arange(len(hashes))[part, None]
            eligible = later & (names[part, None] != names[None])
            for position in range(_POSITIONS):
                apart = np.bitwise_count(hashes[part, 0, None] ^ hashes[None, :, position])
                for i, j in np.argwhere(eligible & (apart <= MOST_BITS)):
                    first, second = int(i) + start, int(j)
                    correlation = self._correlation(first, second, position)
                    if correlation >= LEAST_CORRELATION:
                        yield correlation, Pair(first, second, position > 0)

    def _correlation(self, first: int, second: int, position: int) -> float:
        pictures = (self.thumbnails[first], positions(self.thumbnails[second])[position])
        one, other = (picture.astype(np.float64).ravel() for picture in pictures)
        one, other = one - one.mean(), other - other.mean()
        size = float(np.linalg.norm(one) * np.linalg.norm(other))
        return float(one @ other) / size if size else 0.0  # pictures without contrast are not compared


def positions(picture: Uint8Array) -> list[Uint8Array]:
    """A square picture (S, S) as it is, turned by each number of quarters, and the same of its mirror image."""
    return [np.rot90(one, quarters) for one in (picture, picture[:, ::-1]) for quarters in range(4)]


def _hash(picture: Uint8Array) -> int:
    bits = imagehash.phash(Image.fromarray(np.ascontiguousarray(picture))).hash.ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)
