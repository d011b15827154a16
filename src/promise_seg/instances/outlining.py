"""Outline each proposed object: make its mask in the image frame, in a window around the object.

SAM decodes prompts in batches of limited size, and masks are limited to their windows, so ten thousand objects take no
more memory than their own pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from promise_seg.arrays import BoolArray, Float32Array, IntArray
from promise_seg.images.geometry import Geometry
from promise_seg.instances.proposing import ObjectProposals
from promise_seg.model import PromiseModel, choose_mask
from promise_seg.prompting.map_in_masks import CERTAIN_LOGIT
from promise_seg.prompting.separating import spread
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.rules.postprocessing import largest_part
from promise_seg.sam.features import Features

_AT_ONCE = 32
_MARGIN = 0.25  # share of a box's longer side by which a mask may extend beyond the box
_LEAST_MARGIN = 3  # cells of the maps
_REACH = 4  # cells of the maps by which an object may extend beyond its region
_AGREEMENT = 0.3  # least IoU of SAM's mask with the region of its prompts


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """The mask of one object, in a window of the image.

    Args:
        left, top: position of the window in the image frame.
        mask_logits: (h, w), unbounded.
        mask: (h, w): the largest connected component above the model's threshold.
        score: confidence, 0 to 1.
        point_xy: point prompt of the object, in the image frame.
        predicted_iou: SAM's estimate of the IoU, if SAM contributed to the mask.
    """

    left: int
    top: int
    mask_logits: Float32Array
    mask: BoolArray
    score: float
    point_xy: tuple[float, float]
    predicted_iou: float | None = None

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the window in the image."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@torch.no_grad()
def outline_objects(
    model: PromiseModel, features: Features, proposals: ObjectProposals, geometry: Geometry, rule: InstanceRule
) -> Iterator[ObjectMask]:
    """Yield the mask of each object, in the order of the proposals.

    If SAM's mask does not match the region of its prompts, the mask is taken from the APM's maps only.

    Args:
        model: model in evaluation mode.
        features: features of the image, on the model's device.
        proposals: proposed objects.
        geometry: geometry of the image.
        rule: how SAM's masks and the APM's map are mixed.
    """
    owners = spread(proposals.regions, _REACH)
    least = model.config.postprocessing.threshold_logit
    points = geometry.points_to_image(proposals.points_xy_model)
    for number, answer in enumerate(_answers(model, features, proposals, rule)):
        window = _window_of(proposals.boxes_xyxy_model[number], geometry, len(owners))
        saliency = _cut(proposals.saliency_logits, window, geometry)
        owned = _cut(owners, window, geometry, number + 1)
        mapped = _object_mask(np.minimum(saliency, (owned - 0.5) * 2 * CERTAIN_LOGIT), least, window, points[number])
        if answer is None:
            yield mapped
            continue
        mixed = rule.map_share * mapped.mask_logits + (1 - rule.map_share) * _cut(answer.mask_logits, window, geometry)
        found = _object_mask(mixed, least, window, points[number])
        if _iou(found.mask, mapped.mask) < _AGREEMENT:  # SAM segmented something else
            yield mapped
        else:
            yield replace(found, predicted_iou=answer.iou)


def _iou(one: BoolArray, other: BoolArray) -> float:
    return int(np.count_nonzero(one & other)) / max(int(np.count_nonzero(one | other)), 1)


class _Answer(NamedTuple):
    """SAM's low-resolution mask logits (h, h) over the whole model frame, and its own estimate of their IoU."""

    mask_logits: Float32Array
    iou: float


def _answers(
    model: PromiseModel, features: Features, proposals: ObjectProposals, rule: InstanceRule
) -> Iterator[_Answer | None]:
    """Yield SAM's answer for each object; ``None`` if masks are made from the map only."""
    count = len(proposals.boxes_xyxy_model)
    if rule.map_share == 1:
        yield from (None for _ in range(count))
        return
    for start in range(0, count, _AT_ONCE):
        asked = proposals.prompts(start, start + _AT_ONCE).to(model.device)
        shifted = model.answer_to(asked).shifted
        chosen = choose_mask(model.sam_masks(features, asked, shifted=shifted), model.config.mask_choice)
        if model.config.second_pass:
            seen = replace(asked, mask_logits=chosen.mask_logits)
            chosen = choose_mask(model.sam_masks(features, seen, shifted=shifted), model.config.mask_choice)
        logits, iou = chosen.mask_logits[0].float().cpu().numpy(), chosen.iou[0].float().cpu().numpy()
        yield from (_Answer(one, float(of)) for one, of in zip(logits, iou, strict=True))


class _Window(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


def _window_of(box_xyxy_model: Float32Array, geometry: Geometry, cells: int) -> _Window:
    """Return the window of a box with a margin, clipped to the part of the image that the model sees.

    The right column and the bottom row are excluded.

    Args:
        box_xyxy_model: box (4,) in the model frame.
        geometry: geometry of the image.
        cells: number of map cells along a side of the model frame.
    """
    left, top, right, bottom = box_xyxy_model.tolist()
    margin = max(_MARGIN * max(right - left, bottom - top), _LEAST_MARGIN * geometry.side / cells)
    wide = np.array([left - margin, top - margin, right + margin, bottom + margin], np.float32)
    found, kept = geometry.box_to_image(wide), geometry.kept
    first_x, first_y = np.floor(found[:2]).astype(int).tolist()
    end_x, end_y = (np.ceil(found[2:]).astype(int) + 1).tolist()
    left, top = min(max(first_x, kept.left), kept.right - 1), min(max(first_y, kept.top), kept.bottom - 1)
    return _Window(left, top, max(min(end_x, kept.right), left + 1), max(min(end_y, kept.bottom), top + 1))


def _cut(
    values: Float32Array | IntArray, window: _Window, geometry: Geometry, number: int | None = None
) -> Float32Array:
    """Interpolate a map (r, r) of the whole model frame bilinearly at the pixels (h, w) of a window of the image.

    If ``number`` is given, the map is first converted to 1 where it has this number, and 0 elsewhere.
    """
    corners = np.array([[window.left, window.top], [window.right - 1, window.bottom - 1]], np.float32)
    scale = len(values) / geometry.side
    (x0, y0), (x1, y1) = ((geometry.points_to_model(corners) + 0.5) * scale - 0.5).astype(np.float64)
    width, height = window.right - window.left, window.bottom - window.top
    xs = np.linspace(x0, x1, width, dtype=np.float32) if width > 1 else np.array([x0], np.float32)
    ys = np.linspace(y0, y1, height, dtype=np.float32) if height > 1 else np.array([y0], np.float32)
    (first_row, end_row), (first_column, end_column) = _span(ys, len(values)), _span(xs, len(values))
    part = values[first_row:end_row, first_column:end_column]
    part = part if number is None else part == number
    return _bilinear(part.astype(np.float32), ys - first_row, xs - first_column)


def _span(places: Float32Array, cells: int) -> tuple[int, int]:
    """Return the range of cells, its end excluded, that ascending positions are interpolated from."""
    first = min(max(int(np.floor(places[0])), 0), cells - 1)
    return first, min(max(int(np.floor(places[-1])) + 2, first + 1), cells)


def _bilinear(values: Float32Array, ys: Float32Array, xs: Float32Array) -> Float32Array:
    """Interpolate values (r, c) at rows (h,) and columns (w,), clipped to the outermost cells: (h, w)."""
    last_row, last_column = values.shape[0] - 1, values.shape[1] - 1
    ys, xs = np.clip(ys, 0, last_row), np.clip(xs, 0, last_column)
    above, before = ys.astype(np.int64), xs.astype(np.int64)
    below, behind = np.minimum(above + 1, last_row), np.minimum(before + 1, last_column)
    down, across = (ys - above)[:, None], (xs - before)[None]
    upper = values[np.ix_(above, before)] * (1 - across) + values[np.ix_(above, behind)] * across
    lower = values[np.ix_(below, before)] * (1 - across) + values[np.ix_(below, behind)] * across
    return (upper * (1 - down) + lower * down).astype(np.float32)


def _object_mask(logits: Float32Array, least: float, window: _Window, point_xy: Float32Array) -> ObjectMask:
    """Return the largest connected component above a logit; its highest pixel if no pixel is above it."""
    mask = logits > least
    if mask.any():
        mask = largest_part(mask)
    else:
        mask.ravel()[int(logits.argmax())] = True
    score = float((1 / (1 + np.exp(-np.clip(logits[mask], -30, 30)))).mean())
    return ObjectMask(window.left, window.top, logits, mask, score, (float(point_xy[0]), float(point_xy[1])))
