"""Pictures that look the same although their files differ: at another size, quality or format, mirrored or turned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

Uint8Array = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)

MOST_BITS = 8
"""Of 64 that perceptual hashes of two near-duplicates may differ in."""
LEAST_CORRELATION = 0.99
"""Of their thumbnails, which decides: hashes alone take frames of different scenes for each other."""
_THUMBNAIL = 32  # four times as large as the part of its frequencies that the hash takes
_AT_ONCE = 256


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their numbers, ``first`` the lower one; ``turned`` if one is mirrored or turned by quarters."""

    first: int
    second: int
    turned: bool


@dataclass
class Looks:
    """How many pictures look: a thumbnail of each, a kilobyte, whatever their size."""

    thumbnails: list[Uint8Array] = field(default_factory=list)

    def add(self, image: Uint8Array) -> None:
        """Add a picture (H, W, 3) uint8."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        self.thumbnails.append(np.asarray(small, np.uint8))

    def alike(self, splits: Sequence[str], groups: Sequence[str]) -> list[Pair]:
        """Pictures of different splits and groups that look the same, each picture in one pair at most.

        Neighbours in a video look like each other, and so all like a copy of one of them: each picture is compared with
        all, but only with the closest does it make a pair, and of pairs that share a picture the closest counts.
        """
        taken: set[int] = set()
        chosen = []
        for pair in self._closest(_numbered(splits), _numbered(groups)):
            if not {pair.first, pair.second} & taken:
                taken |= {pair.first, pair.second}
                chosen.append(pair)
        return chosen

    def _closest(self, splits: IntArray, groups: IntArray) -> list[Pair]:
        """The pair of each picture with the one that is most like it, if it is like enough, the closest first."""
        flat = np.array(self.thumbnails, np.uint8).reshape(-1, _THUMBNAIL**2)
        moved = [order.ravel() for order in positions(np.arange(_THUMBNAIL**2).reshape(_THUMBNAIL, _THUMBNAIL))]
        hashes = [_hashes(flat[:, order]) for order in moved]
        best = _Best(len(flat))
        has_contrast = np.ptp(flat, axis=1) > 0  # pictures without are not compared
        numbers = np.arange(len(flat))
        for start in range(0, len(flat), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            eligible = (splits[part, None] != splits) & (groups[part, None] != groups) & (numbers > numbers[part, None])
            eligible &= has_contrast[part, None] & has_contrast
            for position, order in enumerate(moved):
                apart = np.bitwise_count(hashes[0][part, None] ^ hashes[position])
                close = np.asarray(eligible & (apart <= MOST_BITS))
                rows, columns = np.flatnonzero(close.any(axis=1)), np.flatnonzero(close.any(axis=0))
                if len(rows):
                    found = _units(flat[start + rows]) @ _units(flat[columns][:, order]).T
                    found[~close[np.ix_(rows, columns)]] = 0
                    best.add(start + rows, columns, found, position)
        return best.pairs()


class _Best:
    """Of each picture, the one that is most like it so far, how much, and in which of its positions."""

    def __init__(self, count: int) -> None:
        self.correlation = np.zeros(count, np.float32)
        self.partner = np.full(count, -1)
        self.position = np.zeros(count, np.int64)

    def add(self, rows: IntArray, columns: IntArray, correlation: FloatArray, position: int) -> None:
        """Correlations of the pictures ``rows`` with ``columns`` (R, C)."""
        for mine, others, table in ((rows, columns, correlation), (columns, rows, correlation.T)):
            at = table.argmax(axis=1)
            value = table[np.arange(len(mine)), at]
            closer = value > np.maximum(self.correlation[mine], np.nextafter(np.float32(LEAST_CORRELATION), 0))
            self.correlation[mine[closer]] = value[closer]
            self.partner[mine[closer]] = others[at[closer]]
            self.position[mine[closer]] = position

    def pairs(self) -> list[Pair]:
        """The closest first."""
        order = np.argsort(-self.correlation, kind="stable")
        found = []
        for one in order[self.partner[order] >= 0].tolist():
            other = int(self.partner[one])
            found.append(Pair(min(one, other), max(one, other), bool(self.position[one] > 0)))
        return list(dict.fromkeys(found))


def _numbered(names: Sequence[str]) -> IntArray:
    """A number for each name."""
    return np.unique(np.array(names, dtype=object), return_inverse=True)[1]


def _units(pictures: Uint8Array) -> FloatArray:
    """Pictures (N, P), each less its mean and of length one, so that products of them are correlations."""
    centred = pictures.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True), np.float32)


def positions(picture: npt.NDArray[Number]) -> list[npt.NDArray[Number]]:
    """A square picture (S, S) as it is, turned by each number of quarters, and the same of its mirror image."""
    return [np.rot90(one, quarters) for one in (picture, picture[:, ::-1]) for quarters in range(4)]


def _hashes(pictures: Uint8Array) -> npt.NDArray[np.uint64]:
    """Perceptual hashes of 64 bits of pictures (N, S x S): which of the lowest frequencies are above their median."""
    found = np.zeros(len(pictures), np.uint64)
    for start in range(0, len(pictures), _AT_ONCE):
        square = pictures[start : start + _AT_ONCE].reshape(-1, _THUMBNAIL, _THUMBNAIL).astype(np.float32)
        low = dctn(square, axes=(1, 2))[:, :8, :8].reshape(-1, 64)
        bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
        found[start : start + _AT_ONCE] = np.ascontiguousarray(bits).view(np.uint64)[:, 0]
    return found
