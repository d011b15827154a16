"""Stitch the objects of overlapping tiles, so that no object is cut at a seam or counted twice.

Objects of two tiles are the same if they agree in the overlap of the tiles. If one of them is complete in its tile, it
represents both. If both are cut, because the object is longer than the overlap, they are joined. An object that is cut
in one tile and was not found in another tile that shows it completely is left out.
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
"""Minimum IoU within the overlap of two tiles for two objects to be the same."""
_DOUBLE = 0.5
"""Share of an object's pixels in other objects above which it is a duplicate."""
_APART = 0.2
"""Share of its pixels in other objects of its group below which an object is another one."""
_EDGE_SHARE = 64  # an object is cut if it is nearer to a seam than its tile's side divided by this number
MOST_OBJECTS = LARGEST_LABEL


@dataclass(eq=False)
class _Tile:
    """The objects of the tile at ``box``, with its instance map ``labels`` (h, w) and its pixels ``rgb`` (h, w, 3)."""

    box: Box
    labels: Uint16Array
    rgb: Uint8Array
    objects: tuple[ObjectMask, ...]
    cut: list[bool]
    links: list[list[tuple["_Tile", int]]] = field(default_factory=list)
    done: list[bool] = field(default_factory=list)


class Stitcher:
    """Paint the objects of tiles into one instance map of the whole image.

    Objects are painted as soon as no later tile can change them.

    Args:
        labels: (H, W) uint16, all zero; it is modified in place, and numbered by :meth:`finished`.
        kept: part of the image that the tiles cover.
        spacing: distances between rows and between columns in mm, if known.
        name: name of the image in messages.
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
        """Add the objects of the next tile, in the order of the grid.

        Args:
            box: position of the tile in the image.
            found: objects of the tile, in the tile's frame.
            rgb: pixels (h, w, 3) of the tile.
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
        """Paint the objects that are complete after a row of tiles.

        Args:
            next_top: top pixel row of the next row of tiles; ``None`` after the last one.

        Raises:
            ImageError: if there are more objects than an instance map can number.
        """
        is_open = {id(tile): next_top is not None and tile.box.bottom > next_top for tile in self._waiting}
        groups = [group for group in self._groups() if not any(is_open[id(tile)] for tile, _ in group)]
        versions = [version for group in groups for version in _versions(group)]
        shown = [version.is_cut and self._is_shown_elsewhere(version) for version in versions]
        order = sorted(
            range(len(versions)),
            key=lambda n: (versions[n].is_cut, -versions[n].score, versions[n].top, versions[n].left),
        )
        for number in order:
            if not shown[number]:
                self._paint(versions[number])
        for group in groups:
            for tile, index in group:
                tile.done[index] = True
                tile.links[index] = []  # otherwise finished tiles would stay in memory through these links
        self._waiting = [tile for tile in self._waiting if is_open[id(tile)] or not all(tile.done)]
        first = min((tile.box.top for tile in self._waiting), default=self._kept.bottom)
        self._boxes = [box for box in self._boxes if box.bottom > first]

    def finished(self) -> tuple[FoundObject, ...]:
        """Number the objects from the top of the image to its bottom, and return the measurements of each."""
        order = sorted(range(len(self._found)), key=lambda n: self._first[n])
        numbers = np.zeros(len(order) + 1, np.uint16)
        numbers[np.array(order, np.int64) + 1] = np.arange(1, len(order) + 1)
        for top in range(0, len(self._labels), 1024):
            strip = self._labels[top : top + 1024]
            strip[...] = numbers[strip]
        return tuple(replace(self._found[n], id=number) for number, n in enumerate(order, 1))

    def _is_cut(self, place: Box, box: Box) -> bool:
        """Whether a box reaches close to, or beyond, an edge of a tile that is not an edge of the image."""
        near = max(2, max(box.right - box.left, box.bottom - box.top) // _EDGE_SHARE)
        return (
            (box.left > self._kept.left and place.left - box.left < near)
            or (box.top > self._kept.top and place.top - box.top < near)
            or (box.right < self._kept.right and box.right - place.right < near)
            or (box.bottom < self._kept.bottom and box.bottom - place.bottom < near)
        )

    def _is_shown_elsewhere(self, one: "_Version") -> bool:
        """Whether a tile shows the whole object and some of its surroundings."""
        return any(not self._is_cut(one.place, box) for box in self._boxes)

    def _groups(self) -> Iterator[list[tuple[_Tile, int]]]:
        """Yield groups of linked objects that are not painted yet."""
        seen: set[tuple[int, int]] = set()
        for tile in self._waiting:
            for index in range(len(tile.objects)):
                if (id(tile), index) in seen or tile.done[index]:
                    continue
                group, found = [(tile, index)], {(id(tile), index)}
                for one, number in group:  # the list grows during the loop
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
    """An object in the image frame, with its mask (h, w) and pixels (h, w, 3)."""

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
    """Return the bounding box of a mask at a position in the image."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1)


def _place_of(one: ObjectMask, tile: Box) -> Box:
    return _tight(tile.left + one.left, tile.top + one.top, one.mask)


def _link(tile: _Tile, other: _Tile) -> None:
    """Link objects of two tiles that are the same, each with at most one object of the other tile."""
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


def _versions(group: list[tuple[_Tile, int]]) -> list[_Version]:
    """Return the objects that a group of linked objects shows, of which there is mostly one.

    That is its most confident complete object, or all objects joined if none is complete. Complete objects at another
    place are objects of their own: they are in the group because one tile saw both as one.
    """
    whole = [_joined([one], is_cut=False) for one in group if not one[0].cut[one[1]]]
    if not whole:
        return [_joined(group, is_cut=len(group) == 1)]
    kept: list[_Version] = []
    for one in sorted(whole, key=lambda version: -version.score):
        if sum(_shared(one, other) for other in kept) < _APART * int(np.count_nonzero(one.mask)):
            kept.append(one)
    return kept


def _shared(one: _Version, other: _Version) -> int:
    """Return the number of pixels that two objects share."""
    left, top = max(one.left, other.left), max(one.top, other.top)
    right = min(one.left + one.mask.shape[1], other.left + other.mask.shape[1])
    bottom = min(one.top + one.mask.shape[0], other.top + other.mask.shape[0])
    if left >= right or top >= bottom:
        return 0
    ours, theirs = (
        version.mask[top - version.top : bottom - version.top, left - version.left : right - version.left]
        for version in (one, other)
    )
    return int(np.count_nonzero(ours & theirs))


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
