"""Near-duplicates: images with the same content although they differ in size, quality, format or orientation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from promise_seg.arrays import BoolArray, Float32Array, IntArray, Uint8Array

Number = TypeVar("Number", bound=np.generic)

MOST_BITS = 8
"""The maximum number of bits, out of 64, in which the perceptual hashes of two near-duplicates differ."""
LEAST_CORRELATION = 0.99
"""The minimum correlation of the thumbnails of near-duplicates; hashes alone confuse frames of different scenes."""
_THUMBNAIL = 32  # side in pixels, four times that of the block of frequencies that the hash uses
_AT_ONCE = 256


@dataclass(frozen=True)
class NearDuplicate:
    """Indices of two images, ``first`` the lower; ``reoriented`` if one is flipped or rotated in 90-degree steps."""

    first: int
    second: int
    reoriented: bool


@dataclass
class Thumbnails:
    """The thumbnails of many images, one kilobyte each, whatever the size of the image."""

    thumbnails: list[Uint8Array] = field(default_factory=list)

    def add(self, image: Uint8Array) -> None:
        """Add an image (H, W, 3) uint8."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        self.thumbnails.append(np.asarray(small, np.uint8))

    def near_duplicates(self, splits: Sequence[str], groups: Sequence[str]) -> list[NearDuplicate]:
        """Return pairs of similar images from different splits and groups; each image is in at most one pair.

        Neighbouring frames of a video are similar, so all of them resemble a copy of any of them. Each image is
        therefore compared with all others but paired only with the most similar one, and among pairs that share an
        image only the most similar pair is returned.
        """
        taken: set[int] = set()
        chosen = []
        for pair in self._closest(_numbered(splits), _numbered(groups)):
            if not {pair.first, pair.second} & taken:
                taken |= {pair.first, pair.second}
                chosen.append(pair)
        return chosen

    def joined(self, groups: Sequence[str]) -> tuple[IntArray, NearDuplicate | None]:
        """Join groups that have near-duplicates of each other.

        Returns:
            A number for each image, shape (N,), which is the same for all images of groups that are joined, directly or
            through other groups; and an example of a pair that joins two groups, ``None`` if there is no such pair.
        """
        numbers, example = _numbered(groups), None

        def in_different_groups(part: slice) -> BoolArray:
            return np.asarray(numbers[part, None] != numbers)

        for rows, columns, correlation, position in self._similar(in_different_groups):
            first, second = np.nonzero(correlation >= np.float32(LEAST_CORRELATION))
            if len(first):
                one, other = int(rows[first[0]]), int(columns[second[0]])
                example = example or NearDuplicate(one, other, reoriented=position > 0)
                numbers = _united(numbers, rows[first], columns[second])
        return numbers, example

    def _closest(self, splits: IntArray, groups: IntArray) -> list[NearDuplicate]:
        """Return each image with its most similar image, if they are similar enough; the most similar pairs first."""
        best = _Best(len(self.thumbnails))

        def in_different_splits(part: slice) -> BoolArray:
            return np.asarray((splits[part, None] != splits) & (groups[part, None] != groups))

        for rows, columns, correlation, position in self._similar(in_different_splits):
            best.add(rows, columns, correlation, position)
        return best.pairs()

    def _similar(
        self, compared: Callable[[slice], BoolArray]
    ) -> Iterator[tuple[IntArray, IntArray, Float32Array, int]]:
        """Yield the correlations (R, C) of some images with later images, and the orientation of the later ones.

        Correlations of images whose hashes differ too much are 0.

        Args:
            compared: returns, for a range of images, with which images they are compared, shape (R, N).
        """
        flat = np.array(self.thumbnails, np.uint8).reshape(-1, _THUMBNAIL**2)
        moved = [order.ravel() for order in positions(np.arange(_THUMBNAIL**2).reshape(_THUMBNAIL, _THUMBNAIL))]
        hashes = [_hashes(flat[:, order]) for order in moved]
        has_contrast = np.ptp(flat, axis=1) > 0  # images without contrast are not compared
        numbers = np.arange(len(flat))
        for start in range(0, len(flat), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            eligible = compared(part) & (numbers > numbers[part, None])
            eligible &= has_contrast[part, None] & has_contrast
            for position, order in enumerate(moved):
                apart = np.bitwise_count(hashes[0][part, None] ^ hashes[position])
                close = np.asarray(eligible & (apart <= MOST_BITS))
                rows, columns = np.flatnonzero(close.any(axis=1)), np.flatnonzero(close.any(axis=0))
                if len(rows):
                    correlation = _units(flat[start + rows]) @ _units(flat[columns][:, order]).T
                    correlation[~close[np.ix_(rows, columns)]] = 0
                    yield start + rows, columns, correlation, position


class _Best:
    """For each image, the most similar image so far, their correlation, and the orientation in which they match."""

    def __init__(self, count: int) -> None:
        self.correlation = np.zeros(count, np.float32)
        self.partner = np.full(count, -1)
        self.position = np.zeros(count, np.int64)

    def add(self, rows: IntArray, columns: IntArray, correlation: Float32Array, position: int) -> None:
        """Add the correlations (R, C) of the images ``rows`` with the images ``columns``."""
        for mine, others, table in ((rows, columns, correlation), (columns, rows, correlation.T)):
            at = table.argmax(axis=1)
            value = table[np.arange(len(mine)), at]
            closer = value > np.maximum(self.correlation[mine], np.nextafter(np.float32(LEAST_CORRELATION), 0))
            self.correlation[mine[closer]] = value[closer]
            self.partner[mine[closer]] = others[at[closer]]
            self.position[mine[closer]] = position

    def pairs(self) -> list[NearDuplicate]:
        """Return the pairs, the most similar first."""
        order = np.argsort(-self.correlation, kind="stable")
        pairs = []
        for image in order[self.partner[order] >= 0].tolist():
            partner = int(self.partner[image])
            pairs.append(NearDuplicate(min(image, partner), max(image, partner), bool(self.position[image] > 0)))
        return list(dict.fromkeys(pairs))


def _numbered(names: Sequence[str]) -> IntArray:
    """Return an integer for each name, equal for equal names."""
    return np.unique(np.array(names, dtype=object), return_inverse=True)[1]


def _united(numbers: IntArray, first: IntArray, second: IntArray) -> IntArray:
    """Return the numbers (N,) of images, made equal for those of ``first`` and ``second``, (P,) indices each."""
    count = int(numbers.max()) + 1
    links = coo_array((np.ones(len(first), bool), (numbers[first], numbers[second])), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1][numbers])


def _units(thumbnails: Uint8Array) -> Float32Array:
    """Subtract the mean of each thumbnail (N, P) and scale it to unit length: products are then correlations."""
    centred = thumbnails.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True), np.float32)


def positions(image: npt.NDArray[Number]) -> list[npt.NDArray[Number]]:
    """Return the eight orientations of a square image (S, S): four rotations of it, and four of its mirror image."""
    return [np.rot90(flipped, quarters) for flipped in (image, image[:, ::-1]) for quarters in range(4)]


def _hashes(thumbnails: Uint8Array) -> npt.NDArray[np.uint64]:
    """Return 64-bit perceptual hashes of thumbnails (N, S x S): a bit is set if a low frequency exceeds the median."""
    hashes = np.zeros(len(thumbnails), np.uint64)
    for start in range(0, len(thumbnails), _AT_ONCE):
        square = thumbnails[start : start + _AT_ONCE].reshape(-1, _THUMBNAIL, _THUMBNAIL).astype(np.float32)
        low = dctn(square, axes=(1, 2))[:, :8, :8].reshape(-1, 64)
        bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
        hashes[start : start + _AT_ONCE] = np.ascontiguousarray(bits).view(np.uint64)[:, 0]
    return hashes
