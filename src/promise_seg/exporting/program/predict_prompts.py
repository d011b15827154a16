"""Make prompts for the decoder from a user's input or from the prompter's maps."""

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from predict_frames import Array, Frame

LEVELS = 40  # number of levels at which the distance map is searched for peaks
MANY_POINTS = 8  # number of points from which the form is many-points


class Prompts(NamedTuple):
    """K sets of prompts in the model frame: points (K, N, 2) with labels (K, N), and boxes (K, 0 or 1, 4)."""

    points: Array
    labels: Array
    boxes: Array


def prompts_in_frame(
    frame: Frame, points: Sequence[Sequence[float]], labels: Sequence[int], box: Sequence[float] | None
) -> Prompts:
    """Check a user's points and box, and map them to the model frame; the box is clipped to the image."""
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
    """Return the name of the form of given prompts, which depends on the number of points and the presence of a box."""
    count, has_box = prompts.labels.shape[1], prompts.boxes.shape[1] > 0
    if has_box:
        return "box+points" if count else "box"
    if count == 1 and prompts.labels.any():
        return "point"
    return ("points" if count < MANY_POINTS else "many-points") if count else None


def find_objects(saliency: Array, distance: Array, side: int, rule: dict[str, Any]) -> tuple[Prompts, Array]:
    """Return a box and the deepest point of each object, largest first, and a mask of objects beyond the maximum."""
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
    """Number objects (r, r) from 1, separating touching ones by a watershed from the peaks of the distance map."""
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
    while queue:  # the highest cell first; of equally high cells, the first one reached
        place = heapq.heappop(queue)[-1]
        for step in (-width, -1, 1, width, -width - 1, 1 - width, width - 1, width + 1):
            near = place + step
            if is_open[near]:
                parts[near], is_open[near] = parts[place], False
                age += 1
                heapq.heappush(queue, (levels[near], age, near))
    return np.reshape(parts, (-1, width))[1:-1, 1:-1]


def find_peaks(certain: Array, height: Array, prominence: float) -> Array:
    """Mark the peaks (r, r) with at least a given prominence, by lowering a level from the highest value.

    The highest peak of each region above the level is kept. Where regions merge, lower peaks are kept if they rise
    above the level by the prominence.
    """
    peaks, highest_first = np.zeros(height.shape, bool), np.argsort(-height, axis=None, kind="stable")
    for level in np.linspace(1, 0, LEVELS + 1):
        lakes = number_parts(certain & (height >= level), corners=True)
        numbers, first = np.unique(lakes.ravel()[highest_first], return_index=True)
        peaks &= height - level >= prominence
        peaks.ravel()[highest_first[first[numbers > 0]]] = True
    return peaks


def number_parts(mask: Array, *, corners: bool) -> Array:
    """Number the connected components of a mask (H, W) from 1, optionally connected by corners; 0 is background."""
    height, width = mask.shape
    names = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)  # by a pixel of the component
    steps = [(y, x) for y in (0, 1, 2) for x in (0, 1, 2) if corners or 1 in (y, x)]
    while True:
        framed = np.pad(names, 1)
        largest = np.max([framed[y : y + height, x : x + width] for y, x in steps], 0) * mask
        if np.array_equal(largest, names):
            return np.searchsorted(np.unique(np.append(names, 0)), names)
        names = np.append(0, largest)[largest]  # follow the names by one more step
