"""Carry masks as prompts from the most trusted slices of a volume to their neighbours."""

import heapq
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch

from promise_seg.arrays import BoolArray, Float32Array, Float64Array
from promise_seg.images.geometry import Geometry
from promise_seg.inference.masks import decode_one, probs_in_image
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.sam.prompts import FOREGROUND, Prompts
from promise_seg.storage.kept_arrays import KeptArrays
from promise_seg.volumes.collecting import CollectedSlices

_MOST_OBJECTS = 8
"""Maximum number of connected components of a neighbour's mask that are used as prompts, the largest first."""
_CERTAIN = 10.0
_MOST_LOGIT = 20.0


class Carried:
    """Low-resolution logits (h, h) of all slices, after masks were carried between neighbours.

    Slices that are trusted more than their neighbours keep their masks. From there, masks are carried outwards, to the
    most trusted slice first. The probabilities of a slice's own mask are mixed with those that SAM predicts from its
    neighbours' masks.

    Args:
        collected: all slices, with their features.
        rule: rule with the share of carried masks and the kind of prompts.
        threshold: probability above which a pixel is foreground.
    """

    def __init__(self, collected: CollectedSlices, rule: VolumeRule, threshold: float) -> None:
        self._collected, self._rule, self._threshold = collected, rule, threshold
        self._done = KeptArrays()
        trust = trust_in_slices(collected, threshold)
        for number, sources in carrying_order(trust):
            own = _sigmoid(collected.own_logits(number))
            carried = [self._seen_from(number, source) for source in sources]
            if carried:
                wide = [_resized(one, own.shape[0]) for one in carried]
                own = (1 - rule.carried) * own + rule.carried * np.mean(wide, 0)
            self._done.put(number, _logits(own))

    def logits(self, number: int) -> Float32Array:
        """Return the logits (h, h) of a slice."""
        return np.asarray(self._done.get(number), np.float32)

    def close(self) -> None:
        """Free the space of the temporary file."""
        self._done.close()

    def _seen_from(self, number: int, source: int) -> Float32Array:
        """Return the probabilities (h, h) that SAM predicts in a slice from the mask of a neighbour.

        The auto-prompter's saliency map is not mixed in: it is part of the slice's own mask already, and the stored
        features do not include it.
        """
        collected, model = self._collected, self._collected.model
        geometry = collected.geometries[number]
        logits = _in_frame_of(geometry, self.logits(source), collected.geometries[source], self._threshold)
        prompts = prompts_from(logits, self._threshold, geometry.side, model.sam.mask_side, self._rule.carry == "mask")
        if prompts is None:
            return np.zeros_like(logits)
        masks = decode_one(model, collected.features(number), prompts, geometry)
        chosen, _ = masks.chosen(model.answer_to(prompts).mask_choice)
        return np.asarray(chosen.amax(0).sigmoid().float().cpu().numpy(), np.float32)


def trust_in_slices(collected: CollectedSlices, threshold: float) -> Float64Array:
    """Return the trust (N,) in each slice's own mask: its predicted IoU times the mean Dice with its neighbours' masks.

    Slices with empty masks have 0.
    """
    level = float(np.log(threshold / (1 - threshold)))
    trust = np.zeros(len(collected))
    for number, (before, mask, after) in enumerate(_with_neighbours(collected, level)):
        beside = [other for other in (before, after) if other is not None]
        if mask.any():
            agreement = float(np.mean([_dice(mask, other) for other in beside])) if beside else 1.0
            trust[number] = max(0.0, collected.predicted_iou[number]) * agreement
    return trust


def _with_neighbours(
    collected: CollectedSlices, level: float
) -> Iterator[tuple[BoolArray | None, BoolArray, BoolArray | None]]:
    """Yield the low-resolution mask of each slice with those of its neighbours; only these three are in memory."""
    before, mask = None, None
    for number in range(len(collected)):
        after = collected.own_logits(number) > level
        if mask is not None:
            yield before, mask, after
        before, mask = mask, after
    if mask is not None:
        yield before, mask, None


def carrying_order(trust: Sequence[float] | Float64Array) -> Iterator[tuple[int, list[int]]]:
    """Yield each slice with the neighbours that it gets masks from, all of which were yielded before.

    Slices without such neighbours come first: local maxima of the trust with at least half of the highest trust. They
    are followed, one by one, by the most trusted slice next to those already yielded.
    """
    values = np.asarray(trust, np.float64)
    count, highest = len(values), float(values.max(initial=0.0))
    wide = np.concatenate([[-1.0], values, [-1.0]])
    is_peak = (values >= wide[:-2]) & (values > wide[2:]) & (values >= 0.5 * highest) & (values > 0)
    starts = np.flatnonzero(is_peak).tolist() or [int(values.argmax())]
    done, waiting = set[int](), list[tuple[float, int]]()

    def reach(number: int) -> None:
        done.add(number)
        for other in (number - 1, number + 1):
            if 0 <= other < count and other not in done:
                heapq.heappush(waiting, (-float(values[other]), other))

    for number in starts:
        yield number, []
    for number in starts:
        reach(number)
    while waiting:
        _, number = heapq.heappop(waiting)
        if number not in done:
            yield number, [other for other in (number - 1, number + 1) if other in done]
            reach(number)


def prompts_from(
    mask_logits: Float32Array, threshold: float, side: int, mask_side: int, gives_mask: bool
) -> Prompts | None:
    """Return prompts from a neighbour's mask; ``None`` if it is empty.

    Each connected component has its own set of prompts: a box, the point deepest inside, and optionally its mask.

    Args:
        mask_logits: logits (h, h) of the neighbour's mask over the model frame.
        threshold: probability above which a pixel is foreground.
        side: side of the model frame in pixels.
        mask_side: side of a mask prompt in pixels.
        gives_mask: whether the mask itself is one of the prompts.
    """
    mask = mask_logits > np.log(threshold / (1 - threshold))
    count, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    largest = 1 + np.argsort(-facts[1:, cv2.CC_STAT_AREA], kind="stable")[:_MOST_OBJECTS]
    parts = [labels == number for number in largest]
    scale = side / mask.shape[0]
    points = np.stack([(_deepest(part) + 0.5) * scale - 0.5 for part in parts]).astype(np.float32)
    boxes = np.stack([_box(part, scale) for part in parts]).astype(np.float32)
    given = None
    if gives_mask:
        alone = np.stack([np.where(mask & ~part, -_CERTAIN, mask_logits) for part in parts])
        given = torch.from_numpy(np.stack([_resized(one.astype(np.float32), mask_side) for one in alone]))[None]
    return Prompts(
        points_xy_model=torch.from_numpy(points)[None, :, None],
        point_labels=torch.full((1, len(parts), 1), FOREGROUND, dtype=torch.int64),
        boxes_xyxy_model=torch.from_numpy(boxes)[None],
        mask_logits=given,
    )


def _deepest(part: BoolArray) -> Float64Array:
    """Return the pixel (x, y) of a component that is farthest from its edge."""
    framed = cv2.copyMakeBorder(part.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = divmod(int(depth.argmax()), depth.shape[1])
    return np.array([column, row], np.float64)


def _box(part: BoolArray, scale: float) -> Float64Array:
    """Return the box of a component in the model frame: indices of its first and last pixels."""
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    first = np.array([columns[0], rows[0]]) * scale
    last = np.array([columns[-1] + 1, rows[-1] + 1]) * scale - 1
    return np.concatenate([first, last])


def _in_frame_of(geometry: Geometry, logits: Float32Array, other: Geometry, threshold: float) -> Float32Array:
    """Map logits (h, h) of one slice to the model frame of another slice, if their geometries differ."""
    if geometry == other:
        return logits
    probs = probs_in_image(torch.from_numpy(logits), other)
    if probs.shape != (geometry.height, geometry.width):
        return np.full_like(logits, -_MOST_LOGIT)
    there = geometry.mask_to_model(probs > threshold)
    return _resized(np.where(there, _CERTAIN, -_CERTAIN).astype(np.float32), logits.shape[0])


def _resized(values: Float32Array, side: int) -> Float32Array:
    if values.shape[0] == side:
        return values
    way = cv2.INTER_AREA if side < values.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (side, side), interpolation=way), np.float32)


def _dice(one: BoolArray, other: BoolArray) -> float:
    if one.shape != other.shape:
        return 0.0
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def _sigmoid(logits: Float32Array) -> Float32Array:
    return np.asarray(torch.from_numpy(logits).sigmoid().numpy(), np.float32)


def _logits(probs: Float32Array) -> Float32Array:
    clipped = np.clip(probs.astype(np.float64), 1e-9, 1 - 1e-9)
    return np.clip(np.log(clipped / (1 - clipped)), -_MOST_LOGIT, _MOST_LOGIT).astype(np.float32)
