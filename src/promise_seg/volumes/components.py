"""3-D connected components of a volume, computed slice by slice with the labels of two slices in memory.

Foreground pixels are connected by edges and corners within a slice, but only at the same position between slices: in
volumes with a large slice distance, structures that touch across slices by a corner only are not one object.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from promise_seg.arrays import BoolArray, IntArray
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.volumes.packed import PackedMasks

_CORNERS, _EDGES = 8, 4


def clean(masks: PackedMasks, rule: VolumeRule, voxel_mm3: float | None) -> None:
    """Fill cavities, remove small components and keep the largest, in place and as far as the rule asks for it.

    Args:
        masks: masks of all slices, in order.
        rule: rule for volumes.
        voxel_mm3: volume of a voxel in mm³; without it, no components are removed as too small.
    """
    if rule.fill_holes:
        _fill(masks)
    if rule.keep == "all" and not (rule.least_mm3 and voxel_mm3):
        return
    components = _Components(masks, lambda mask: mask, _CORNERS)
    kept = components.sizes > 0
    if rule.least_mm3 and voxel_mm3:
        kept &= components.sizes * voxel_mm3 >= rule.least_mm3
    if rule.keep == "largest" and kept.any():
        kept &= np.arange(len(kept)) == int(np.where(kept, components.sizes, 0).argmax())
    for number, labels in components.labels():
        masks[number] = kept[labels]


def _fill(masks: PackedMasks) -> None:
    """Fill cavities, which are background components that do not touch the border of the volume."""
    components = _Components(masks, np.logical_not, _EDGES)
    closed = (components.sizes > 0) & ~components.is_outside
    if not closed.any():
        return
    for number, labels in components.labels():
        masks[number] = masks[number] | closed[labels]


class _Components:
    """The 3-D connected components of a mask that is derived from those of the slices.

    ``sizes`` and ``is_outside`` have the number of voxels of each component, and whether it touches the border of the
    volume. Component 0 is the complement of the mask.
    """

    def __init__(self, masks: PackedMasks, seen: Callable[[BoolArray], BoolArray], connectivity: int) -> None:
        self._masks, self._seen, self._connectivity = masks, seen, connectivity
        self._first: list[int] = []  # first component number of each slice
        parents = [0]
        sizes, outside, before = [0], [False], None
        for number in range(len(masks)):
            labels, count = self._of_slice(number)
            self._first.append(len(parents))
            places = np.where(labels > 0, labels + len(parents) - 1, 0)
            parents += range(len(parents), len(parents) + count)
            sizes += np.bincount(labels.ravel(), minlength=count + 1)[1:].tolist()
            outside += _touching(labels, count, number in (0, len(masks) - 1))
            if before is not None and before.shape == places.shape:
                both = (before > 0) & (places > 0)
                pairs = np.unique(before[both] * len(parents) + places[both])  # faster to sort than pairs
                for one, other in zip(*(part.tolist() for part in np.divmod(pairs, len(parents))), strict=True):
                    _join(parents, one, other)
            before = places
        self._roots = np.array([_root(parents, number) for number in range(len(parents))], np.int64)
        self.sizes = np.bincount(self._roots, weights=sizes, minlength=len(parents)).astype(np.int64)
        self.is_outside = np.bincount(self._roots, weights=outside, minlength=len(parents)) > 0

    def _of_slice(self, number: int) -> tuple[IntArray, int]:
        seen = self._seen(self._masks[number]).astype(np.uint8)
        count, labels = cv2.connectedComponents(seen, connectivity=self._connectivity)
        return labels.astype(np.int64), count - 1

    def labels(self) -> Iterator[tuple[int, IntArray]]:
        """Yield the number of each slice, with the component numbers (H, W) of its pixels."""
        for number, first in enumerate(self._first):
            labels, _ = self._of_slice(number)
            yield number, self._roots[np.where(labels > 0, labels + first - 1, 0)]


def _touching(labels: IntArray, count: int, is_end: bool) -> list[bool]:
    """Return for each component of a slice whether it touches the border of the volume."""
    if is_end:
        return [True] * count
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.isin(np.arange(1, count + 1), edges).tolist()


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _join(parents: list[int], one: int, other: int) -> None:
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first
