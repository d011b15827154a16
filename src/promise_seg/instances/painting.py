"""Paint the objects of an image into one instance map, without duplicates and without overlaps."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from promise_seg.arrays import BoolArray, Uint16Array
from promise_seg.instances.outlining import ObjectMask
from promise_seg.rules.postprocessing import largest_part

_DOUBLE = 0.5
"""Share of an object's pixels above which it is a duplicate of a more confident object that has these pixels."""


@dataclass(frozen=True, eq=False)
class InstanceMap:
    """The objects of an image.

    Args:
        labels: (H, W), 0 for background and 1, 2, ... without gaps, from the top of the image to its bottom.
        objects: objects in the order of their numbers; their masks are the same as in ``labels``.
    """

    labels: Uint16Array
    objects: tuple[ObjectMask, ...]


def paint(objects: Iterable[ObjectMask], height: int, width: int, least_score: float = 0.0) -> InstanceMap:
    """Paint objects into one instance map.

    Of duplicates, the most confident object is kept. A pixel in several masks goes to the one with the highest logit.

    Args:
        objects: objects in any order, which may overlap.
        height, width: size of the image in pixels.
        least_score: minimum score; objects with a lower score are left out.
    """
    found = sorted((one for one in objects if one.score >= least_score), key=_surest_first)
    kept: list[ObjectMask] = []
    owner = np.zeros((height, width), np.int32)
    surest = np.full((height, width), -np.inf, np.float32)
    for one in found:
        if _is_double(one, owner[one.window]):
            continue
        kept.append(one)
        here, logits = owner[one.window], surest[one.window]
        wins = one.mask & (one.mask_logits > logits)
        here[wins], logits[wins] = len(kept), one.mask_logits[wins]
    return _numbered(kept, owner)


def _surest_first(one: ObjectMask) -> tuple[float, int, int]:
    return -one.score, one.top, one.left


def _is_double(one: ObjectMask, owner: np.ndarray) -> bool:
    """Whether most of an object's pixels belong to a single object that is already painted.

    Args:
        one: the object.
        owner: (h, w), number of the object that each pixel of the window belongs to.
    """
    shared = np.bincount(owner[one.mask])
    area = int(np.count_nonzero(one.mask))
    common = int(shared[1:].max(initial=0))
    return common > _DOUBLE * area


def _numbered(kept: list[ObjectMask], owner: np.ndarray) -> InstanceMap:
    """Reduce each object to the largest connected component of its pixels, and number objects from top to bottom."""
    left = []
    for number, one in enumerate(kept, 1):
        mask: BoolArray = owner[one.window] == number
        if mask.any():
            left.append(replace(one, mask=largest_part(mask)))
    left.sort(key=_from_the_top)
    labels = np.zeros(owner.shape, np.uint16)
    for number, one in enumerate(left, 1):
        labels[one.window][one.mask] = number
    return InstanceMap(labels, tuple(left))


def _from_the_top(one: ObjectMask) -> tuple[int, int]:
    row, column = np.unravel_index(int(one.mask.argmax()), one.mask.shape)
    return one.top + int(row), one.left + int(column)
