"""Put the objects of overlapping tiles together: none is cut at a seam, and none is counted twice.

Two objects of two tiles are the same if they agree where the tiles overlap. The one that lies whole inside of its tile
stands for both; where each is cut, as an object that is longer than the overlap, they are joined. What is cut in one
tile and was not found in another that shows all of it is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from promise_seg.arrays import BoolArray, Uint8Array, Uint16Array
from promise_seg.errors import ImageError
from promise_seg.images.geometry import Box
from promise_seg.images.masks import LARGEST_LABEL
from promise_seg.instances.facts import FoundObject, facts_of_object
from promise_seg.instances.outlining import ObjectMask
from promise_seg.instances.painting import InstanceMap
from promise_seg.rules.postprocessing import largest_part

_SAME = 0.3
"""The least IoU, within the overlap of two tiles, of two objects that are the same."""
_DOUBLE = 0.5
"""A larger share of an object's pixels that belong to others makes it a double."""
_EDGE_SHARE = 64  # an object is cut if it comes as near to a seam as the side of its tile by this
MOST_OBJECTS = LARGEST_LABEL


@dataclass(eq=False)
class _Tile:
    """The objects of the tile at ``box``: ``labels`` (h, w) is its instance map, ``rgb`` (h, w, 3) its pixels."""

    box: Box
    labels: Uint16Array
    rgb: Uint8Array
    objects: tuple[ObjectMask, ...]
    cut: list[bool]
    links: list[list[tuple["_Tile", int]]] = field(default_factory=list)
    done: list[bool] = field(default_factory=list)


class Stitcher:
    """Paints the objects of tiles into one instance map of the whole image, as soon as no later tile can change them.

    Args:
        labels: (H, W) uint16, zero; it is painted, and numbered when all tiles were added.
        kept: the part of the image that the tiles cover.
        spacing: the distance between rows and between columns in mm, if it is known.
        name: of the image, for messages.
    """

    def __init__(
        self, labels: Uint16Array, kept: Box, spacing: tuple[float, float] | None = None, name: str = "the image"
    ) -> None:
        self._labels, self._kept, self._spacing, self._name = labels, kept, spacing, name
        self._waiting: list[_Tile] = []
        self._boxes: list[Box] = []
        self._found: list[FoundObject] = []
        self._first: list[tuple[int, int]] = []

    def add(self, box: Box, found: InstanceMap, rgb: Uint8Array) -> None:
        """Add what was found in the next tile, in the order of the grid.

        Args:
            box: of the tile.
            found: its objects, in its own frame.
            rgb: its pixels (h, w, 3).

        Raises:
            ImageError: if there are more objects than an instance map can number.
        """
        cut = [self._is_cut(_place_of(one, box), box) for one in found.objects]
        tile = _Tile(box, found.labels, rgb, found.objects, cut)
        tile.links = [[] for _ in found.objects]
        tile.done = [False] * len(found.objects)
        for other in self._waiting:
            _link(tile, other)
        self._waiting.append(tile)
        self._boxes.append(box)

    def end_row(self, next_top: int | None) -> None:
        """Paint what is complete after a row of tiles; ``next_top`` is the first row of the next one, if there is any.

        Raises:
            ImageError: see :meth:`add`.
        """
        is_open = {id(tile): next_top is not None and tile.box.bottom > next_top for tile in self._waiting}
        groups = [group for group in self._groups() if not any(is_open[id(tile)] for tile, _ in group)]
        versions = [_version(group) for group in groups]
        shown = [version.is_cut and self._is_shown_elsewhere(version) for version in versions]
        order = sorted(
            range(len(groups)),
            key=lambda n: (versions[n].is_cut, -versions[n].score, versions[n].top, versions[n].left),
        )
        for number in order:
            if not shown[number]:
                self._paint(versions[number])
        for group in groups:
            for tile, index in group:
                tile.done[index] = True
                tile.links[index] = []  # or tiles that are done would stay in memory with all that they were linked to
        self._waiting = [tile for tile in self._waiting if is_open[id(tile)] or not all(tile.done)]
        first = min((tile.box.top for tile in self._waiting), default=self._kept.bottom)
        self._boxes = [box for box in self._boxes if box.bottom > first]

    def finished(self) -> tuple[FoundObject, ...]:
        """Number the objects from the top of the image to its bottom, and return what is known of each."""
        order = sorted(range(len(self._found)), key=lambda n: self._first[n])
        numbers = np.zeros(len(order) + 1, np.uint16)
        numbers[np.array(order, np.int64) + 1] = np.arange(1, len(order) + 1)
        for top in range(0, len(self._labels), 1024):
            strip = self._labels[top : top + 1024]
            strip[...] = numbers[strip]
        return tuple(replace(self._found[n], id=number) for number, n in enumerate(order, 1))

    def _is_cut(self, place: Box, box: Box) -> bool:
        """Whether what lies at a place comes near to an edge of a tile that is not one of the image, or beyond it."""
        near = max(2, max(box.right - box.left, box.bottom - box.top) // _EDGE_SHARE)
        return (
            (box.left > self._kept.left and place.left - box.left < near)
            or (box.top > self._kept.top and place.top - box.top < near)
            or (box.right < self._kept.right and box.right - place.right < near)
            or (box.bottom < self._kept.bottom and box.bottom - place.bottom < near)
        )

    def _is_shown_elsewhere(self, one: "_Version") -> bool:
        """Whether a tile shows all of an object, with some of what is around it."""
        return any(not self._is_cut(one.place, box) for box in self._boxes)

    def _groups(self) -> Iterator[list[tuple[_Tile, int]]]:
        """Yield the objects that are linked with one another, of which none is painted yet."""
        seen: set[tuple[int, int]] = set()
        for tile in self._waiting:
            for index in range(len(tile.objects)):
                if (id(tile), index) in seen or tile.done[index]:
                    continue
                group, found = [(tile, index)], {(id(tile), index)}
                for one, number in group:  # which grows meanwhile
                    for link in one.links[number]:
                        key = (id(link[0]), link[1])
                        if key not in found:
                            found.add(key)
                            group.append(link)
                seen |= found
                yield group

    def _paint(self, one: "_Version") -> None:
        here = self._labels[one.window]
        free = one.mask & (here == 0)
        area = int(np.count_nonzero(one.mask))
        if int(np.count_nonzero(free)) < (1 - _DOUBLE) * area or not free.any():
            return
        if len(self._found) == MOST_OBJECTS:
            raise ImageError(
                f"{self._name}: more than {MOST_OBJECTS:,} objects, which is all that a map of 16 bits can number. "
                "Read a coarser --level, or predict parts of the image as files of their own"
            )
        mask = largest_part(free)
        here[mask] = len(self._found) + 1
        row, column = np.unravel_index(int(mask.argmax()), mask.shape)
        self._first.append((one.top + int(row), one.left + int(column)))
        outlined = ObjectMask(
            one.left, one.top, np.zeros((0, 0), np.float32), mask, one.score, one.point_xy, one.predicted_iou
        )
        self._found.append(facts_of_object(len(self._found) + 1, outlined, one.rgb, self._spacing))


@dataclass(frozen=True, eq=False)
class _Version:
    """One object in the image frame: its mask (h, w) and the pixels (h, w, 3) there."""

    left: int
    top: int
    mask: BoolArray
    rgb: Uint8Array
    score: float
    point_xy: tuple[float, float]
    predicted_iou: float | None
    is_cut: bool

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def place(self) -> Box:
        return _tight(self.left, self.top, self.mask)


def _tight(left: int, top: int, mask: BoolArray) -> Box:
    """Return the box of what is in a window."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1)


def _place_of(one: ObjectMask, tile: Box) -> Box:
    return _tight(tile.left + one.left, tile.top + one.top, one.mask)


def _link(tile: _Tile, other: _Tile) -> None:
    """Link the objects of two tiles that are the same, each with one at most."""
    left, top = max(tile.box.left, other.box.left), max(tile.box.top, other.box.top)
    right, bottom = min(tile.box.right, other.box.right), min(tile.box.bottom, other.box.bottom)
    if left >= right or top >= bottom or not tile.objects or not other.objects:
        return
    ours, theirs = (
        one.labels[top - one.box.top : bottom - one.box.top, left - one.box.left : right - one.box.left].astype(
            np.int64
        )
        for one in (tile, other)
    )
    columns = len(other.objects) + 1
    pairs, counts = np.unique(ours * columns + theirs, return_counts=True)
    first, second = np.divmod(pairs, columns)
    areas, their_areas = np.bincount(first, counts), np.bincount(second, counts)
    both = (first > 0) & (second > 0)
    first, second, shared = first[both], second[both], counts[both]
    iou = shared / (areas[first] + their_areas[second] - shared)
    taken: tuple[set[int], set[int]] = set(), set()
    for at in np.argsort(-iou, kind="stable"):
        one, another = int(first[at]) - 1, int(second[at]) - 1
        if iou[at] < _SAME or one in taken[0] or another in taken[1]:
            continue
        taken[0].add(one)
        taken[1].add(another)
        tile.links[one].append((other, another))
        other.links[another].append((tile, one))


def _version(group: list[tuple[_Tile, int]]) -> _Version:
    """Return the one that stands for objects that are the same: the surest that is whole, or all together."""
    whole = [(tile, index) for tile, index in group if not tile.cut[index]]
    if whole:
        tile, index = max(whole, key=lambda one: one[0].objects[one[1]].score)
        return _joined([(tile, index)], is_cut=False)
    return _joined(group, is_cut=len(group) == 1)


def _joined(group: list[tuple[_Tile, int]], *, is_cut: bool) -> _Version:
    places = []
    for tile, index in group:
        one = tile.objects[index]
        height, width = one.mask.shape
        left, top = tile.box.left + one.left, tile.box.top + one.top
        places.append(Box(left, top, left + width, top + height))
    left, top = min(place.left for place in places), min(place.top for place in places)
    right, bottom = max(place.right for place in places), max(place.bottom for place in places)
    mask, rgb = np.zeros((bottom - top, right - left), bool), np.zeros((bottom - top, right - left, 3), np.uint8)
    for place, (tile, index) in zip(places, group, strict=True):
        one = tile.objects[index]
        there = slice(place.top - top, place.bottom - top), slice(place.left - left, place.right - left)
        mask[there] |= one.mask
        rgb[there][one.mask] = tile.rgb[one.window][one.mask]
    surest_tile, surest = max(group, key=lambda one: one[0].objects[one[1]].score)
    best = surest_tile.objects[surest]
    point = (surest_tile.box.left + best.point_xy[0], surest_tile.box.top + best.point_xy[1])
    return _Version(left, top, largest_part(mask), rgb, best.score, point, best.predicted_iou, is_cut)
