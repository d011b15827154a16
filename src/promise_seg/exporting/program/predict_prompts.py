"""Prompts for the decoder: those of a person, and those that the prompter's maps give."""

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from predict_frames import Array, Frame

LEVELS = 40  # at which the distance map is searched for peaks
MANY_POINTS = 8  # from how many on points are of another form


class Prompts(NamedTuple):
    """K sets of prompts in the model frame: points (K, N, 2) with labels (K, N), and boxes (K, 0 or 1, 4)."""

    points: Array
    labels: Array
    boxes: Array


def prompts_in_frame(
    frame: Frame, points: Sequence[Sequence[float]], labels: Sequence[int], box: Sequence[float] | None
) -> Prompts:
    """A person's points and box, checked, in the model frame; what of the box is outside of the image is cut off."""
    xy, kinds = np.reshape(points, (-1, 2)).astype(float), np.reshape(labels, -1).astype(np.int64)
    if len(xy) != len(kinds) or not np.isin(kinds, (0, 1)).all():
        raise ValueError(f"{len(xy)} points with the labels {kinds.tolist()}: give a label for each, 1 or 0")
    left, top, right, bottom = frame.kept
    for x, y in xy.tolist():
        if not (left - 0.5 <= x <= right - 0.5 and top - 0.5 <= y <= bottom - 0.5):
            raise ValueError(
                f"the point ({x:g}, {y:g}) is outside of what the model sees, columns {left} to {right - 1} and rows "
                f"{top} to {bottom - 1}: give (x, y), pixel indices counted from 0"
            )
    corners = np.zeros((0, 2))
    if box is not None:
        low = np.maximum(np.asarray(box[:2], float), (left, top))
        high = np.minimum(np.asarray(box[2:], float), (right - 1, bottom - 1))
        if not (low < high).all():
            raise ValueError(f"the box {list(box)} has no area inside of the image: give left, top, right, bottom")
        corners = np.stack([low, high])
    boxes = frame.points_to_model(corners).reshape(1, -1, 4)
    return Prompts(frame.points_to_model(xy)[None], kinds[None], boxes)


def form_of(prompts: Prompts) -> str | None:
    """The name of the form of given prompts, by how many points there are and whether there is a box."""
    count, has_box = prompts.labels.shape[1], prompts.boxes.shape[1] > 0
    if has_box:
        return "box+points" if count else "box"
    if count == 1 and prompts.labels.any():
        return "point"
    return ("points" if count < MANY_POINTS else "many-points") if count else None


def find_objects(saliency: Array, distance: Array, side: int, rule: dict[str, Any]) -> tuple[Prompts, Array]:
    """A box and the deepest point of each object, the largest first; and where objects are that are too many."""
    certain = saliency > rule["certain"]
    if np.count_nonzero(certain) < rule["least_cells"]:
        certain = saliency >= rule["nearly_the_best"] * saliency.max()
    prominence = rule.get("prominence")
    if prominence is None:
        parts, least = number_parts(certain, corners=True), rule["least_cells"]
    else:
        parts, least = separate(certain, distance, prominence), 1
    weights = np.bincount(parts.ravel(), saliency.ravel())[1:]
    areas = np.bincount(parts.ravel())[1:]
    by_weight = np.argsort(-weights, kind="stable")
    most = rule["most_objects"]
    order = [part for part in by_weight[:most] if areas[part] >= least] or [by_weight[0]]
    cell = side / len(saliency)
    points, boxes = [], []
    for part in order:
        rows, columns = np.nonzero(parts == part + 1)
        deepest = distance[rows, columns].argmax()
        points.append([[(columns[deepest] + 0.5) * cell - 0.5, (rows[deepest] + 0.5) * cell - 0.5]])
        low = np.array([columns.min(), rows.min()]) * cell
        high = np.maximum(np.array([columns.max() + 1, rows.max() + 1]) * cell - 1, low)
        boxes.append([[*low, *high]])
    prompts = Prompts(
        np.array(points, np.float32), np.ones((len(points), 1), np.int64), np.array(boxes, np.float32)
    )  # fmt: skip
    return prompts, np.isin(parts, by_weight[most:] + 1)


def separate(certain: Array, distance: Array, prominence: float) -> Array:
    """Number the objects (r, r) from 1, also where they touch: a place is of the peak of the distance it flows to."""
    height = np.where(certain, distance, 0).astype(np.float32)
    width = height.shape[1] + 2
    levels, is_open = np.pad(-height, 1).ravel().tolist(), np.pad(certain, 1).ravel().tolist()
    parts, queue = [0] * len(levels), []
    for number, (row, column) in enumerate(np.argwhere(find_peaks(certain, height, prominence)).tolist(), 1):
        peak = (row + 1) * width + column + 1
        parts[peak], is_open[peak] = number, False
        queue.append((levels[peak], 0, peak))
    heapq.heapify(queue)
    age = 0
    while queue:  # the highest first; of equally high places, the one that was reached first
        place = heapq.heappop(queue)[-1]
        for step in (-width, -1, 1, width, -width - 1, 1 - width, width - 1, width + 1):
            near = place + step
            if is_open[near]:
                parts[near], is_open[near] = parts[place], False
                age += 1
                heapq.heappush(queue, (levels[near], age, near))
    return np.reshape(parts, (-1, width))[1:-1, 1:-1]


def find_peaks(certain: Array, height: Array, prominence: float) -> Array:
    """Mark the peaks (r, r) that rise so far above the pass to a higher one, by raising water from the highest level.

    Of each lake of higher places, the highest stays; where lakes meet, others do if they are so far above the level.
    """
    peaks, highest_first = np.zeros(height.shape, bool), np.argsort(-height, axis=None, kind="stable")
    for level in np.linspace(1, 0, LEVELS + 1):
        lakes = number_parts(certain & (height >= level), corners=True)
        numbers, first = np.unique(lakes.ravel()[highest_first], return_index=True)
        peaks &= height - level >= prominence
        peaks.ravel()[highest_first[first[numbers > 0]]] = True
    return peaks


def number_parts(mask: Array, *, corners: bool) -> Array:
    """Number the connected parts of a mask (H, W) from 1, also across corners if wanted; 0 is where there is none."""
    height, width = mask.shape
    names = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)  # each pixel by a pixel of its part
    steps = [(y, x) for y in (0, 1, 2) for x in (0, 1, 2) if corners or 1 in (y, x)]
    while True:
        framed = np.pad(names, 1)
        largest = np.max([framed[y : y + height, x : x + width] for y, x in steps], 0) * mask
        if np.array_equal(largest, names):
            return np.searchsorted(np.unique(np.append(names, 0)), names)
        names = np.append(0, largest)[largest]  # what the pixel is called by which it is called
