"""Prompts given by a user or a program in the image frame, validated before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from promise_seg.arrays import BoolArray, Float32Array, IntArray
from promise_seg.errors import SettingsError, first_line
from promise_seg.images.geometry import Geometry
from promise_seg.sam.prompts import BACKGROUND, FOREGROUND, Prompts

_SWAPPED = ". With x and y swapped it would lie inside: x is the column, y the row"
_SLACK = 0.501
"""Model-frame pixels by which a point may lie outside the image, as points of an APM can; with room for rounding."""


@dataclass(frozen=True, eq=False)
class UserPrompts:
    """One set of prompts in the image frame; any or all kinds of prompts may be missing.

    Args:
        points_xy: (N, 2) pixel indices, integers being pixel centres: x from -0.5 to W - 0.5, y from -0.5 to H - 0.5,
            the outer edges of the image. Half a pixel of the model frame beyond them is allowed, as an APM's own points
            may lie there.
        point_labels: (N,), 1 for foreground and 0 for background.
        box_xyxy: (4,), indices of the box's first and last pixels: left, top, right, bottom. It may reach beyond the
            image, and is clipped to it.
        mask_input: (h, h) low-resolution logits, such as :attr:`Prediction.mask_logits`: in the size of SAM's masks, or
            finer if an auto-prompter's saliency map was mixed in.

    Raises:
        SettingsError: if prompts have the wrong shape or are not finite numbers, if points and labels do not match, or
            if a box has shares of the image in place of pixels.
    """

    points_xy: npt.ArrayLike | None = None
    point_labels: npt.ArrayLike | None = None
    box_xyxy: npt.ArrayLike | None = None
    mask_input: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        points = None if self.points_xy is None else _points(self.points_xy)
        labels = None if self.point_labels is None else _labels(self.point_labels)
        box = None if self.box_xyxy is None else _box(self.box_xyxy)
        if (points is None) != (labels is None):
            raise SettingsError("points need labels and labels need points: give both or neither")
        if points is not None and labels is not None and len(points) != len(labels):
            raise SettingsError(
                f"point labels must be one for each point, got {len(labels)} labels for {len(points)} points"
            )
        for name, value in (("points_xy", points), ("point_labels", labels), ("box_xyxy", box)):
            object.__setattr__(self, name, value)

    @property
    def form(self) -> tuple[int, bool, bool]:
        """The number of points, and whether there is a box and a mask; sets of the same form are decoded together."""
        count = 0 if self.points_xy is None else len(np.asarray(self.points_xy))
        return count, self.box_xyxy is not None, self.mask_input is not None

    @property
    def is_empty(self) -> bool:
        """Whether there are no prompts at all."""
        return all(part is None for part in vars(self).values())


def finite_numbers(values: npt.ArrayLike, name: str) -> Float32Array:
    """Convert values to a float32 array of the same shape.

    Raises:
        SettingsError: if the values are not finite numbers; the message has ``name``.
    """
    try:
        array = np.asarray(_without_gradient(values), np.float32)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # the last is from tensors in a list
        raise SettingsError(f"{name}: expected numbers: {first_line(error)}") from error
    if bad := int(np.count_nonzero(~np.isfinite(array))):
        raise SettingsError(f"{name}: expected finite numbers, but {bad} of {array.size} are NaN or infinite")
    return array


def _without_gradient(values: npt.ArrayLike) -> npt.ArrayLike:
    """Return tensors of any device as NumPy arrays, and other values as they are."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def _points(values: npt.ArrayLike) -> Float32Array:
    array = finite_numbers(values, "points_xy")
    if array.ndim != 2 or array.shape[1] != 2:
        raise SettingsError(f"points_xy must be (N, 2), got {array.shape}")
    if not len(array):
        raise SettingsError("points_xy: there are no points in it; leave points out if there are none")
    return array


def _labels(values: npt.ArrayLike) -> IntArray:
    array = finite_numbers(values, "point_labels")
    if array.ndim != 1:
        raise SettingsError(f"point_labels must be (N,), got {array.shape}")
    if not np.isin(array, (FOREGROUND, BACKGROUND)).all():
        found = np.asarray(_without_gradient(values)).tolist()
        raise SettingsError(f"point_labels must be 1 (foreground) or 0 (background), got {found}")
    return array.astype(np.int64)


def _box(values: npt.ArrayLike) -> Float32Array:
    array = finite_numbers(values, "box_xyxy")
    if array.shape != (4,):
        raise SettingsError(f"box_xyxy must be (4,), got {array.shape}")
    left, top, right, bottom = array
    if not (left < right and top < bottom):
        hints = list[str]()
        if left != right and top != bottom:
            ordered = [min(left, right), min(top, bottom), max(left, right), max(top, bottom)]
            hints.append(f"two opposite corners, give [{', '.join(f'{edge:g}' for edge in ordered)}]")
        if right > 0 and bottom > 0 and (right < left or bottom < top):
            corners = f"[{left:g}, {top:g}, {left + right - 1:g}, {top + bottom - 1:g}]"
            hints.append(f"left, top, width and height, give {corners}")
        hint = f". If these are {'; if '.join(hints)}" if hints else ""
        raise SettingsError(
            f"box_xyxy must be left, top, right, bottom with left < right and top < bottom, got {array.tolist()}{hint}"
        )
    if has_shares(array):
        raise SettingsError(
            f"box_xyxy: [{left:g}, {top:g}, {right:g}, {bottom:g}] is smaller than one pixel; coordinates are pixels, "
            "not shares of the image. Multiply x by its width and y by its height"
        )
    return array


def has_shares(box_xyxy: npt.ArrayLike) -> bool:
    """Whether a box (4,) has fractions from 0 to 1 alone, as boxes in shares of an image have."""
    array = np.asarray(box_xyxy, np.float32)
    return bool(array.min() >= 0 and array.max() <= 1 and (array != np.round(array)).any())


def to_model_frame(sets: Sequence[UserPrompts], geometry: Geometry, mask_side: int) -> Prompts:
    """Convert the K sets of prompts of one image to SAM's input: (1, K, ...) in the model frame.

    All sets must have the same kinds of prompts and number of points; see :attr:`UserPrompts.form`. Boxes are clipped
    to the image.

    Raises:
        SettingsError: if a point or box lies outside the part of the image that the model sees.
        ValueError: if the sets differ in form.
    """
    points = _in_all([one.points_xy for one in sets], "points")
    boxes = _in_all([one.box_xyxy for one in sets], "a box")
    masks = _in_all([one.mask_input for one in sets], "a mask")
    points_xy_model = point_labels = boxes_xyxy_model = mask_logits = None
    if points is not None:
        points_xy_model = torch.from_numpy(np.stack([_points_in_frame(one, geometry) for one in points]))[None]
        point_labels = torch.from_numpy(np.stack([np.asarray(one.point_labels) for one in sets]))[None]
    if boxes is not None:
        boxes_xyxy_model = torch.from_numpy(np.stack([_box_in_frame(one, geometry) for one in boxes]))[None]
    if masks is not None:
        mask_logits = torch.stack([_mask_in_frame(one, mask_side) for one in masks])[None]
    return Prompts(
        points_xy_model=points_xy_model,
        point_labels=point_labels,
        boxes_xyxy_model=boxes_xyxy_model,
        mask_logits=mask_logits,
    )


def _in_all(parts: Sequence[npt.ArrayLike | None], what: str) -> list[npt.ArrayLike] | None:
    given = [part for part in parts if part is not None]
    if given and len(given) != len(parts):
        raise ValueError(f"{len(given)} of {len(parts)} sets of prompts have {what}")
    return given or None


def _points_in_frame(points_xy: npt.ArrayLike, geometry: Geometry) -> Float32Array:
    given = np.asarray(points_xy, np.float32)
    moved = geometry.points_to_model(given)
    outside = _outside(moved, geometry)
    if outside.any():
        swapped = not _outside(geometry.points_to_model(given[:, ::-1]), geometry).any()
        raise SettingsError(
            f"points_xy: {given[outside][0].tolist()} lies outside of {_seen(geometry)}; expected (x, y) pixel indices "
            f"in it{_SWAPPED * swapped}"
        )
    return moved


def _outside(points_xy_model: Float32Array, geometry: Geometry) -> BoolArray:
    """Return a mask (N,) of the points (N, 2) that lie in the padding of the model frame, or beyond the frame."""
    left, top, right, bottom = geometry.content
    low, high = np.array([left, top]) - 0.5 - _SLACK, np.array([right, bottom]) - 0.5 + _SLACK
    return np.asarray(((points_xy_model < low) | (points_xy_model > high)).any(1))


def clipped_points(points_xy: Float32Array, geometry: Geometry) -> Float32Array:
    """Clip points (N, 2) in the image frame to the edges of the part that the model sees."""
    left, top, right, bottom = geometry.kept
    return np.clip(points_xy, np.array([left, top]) - 0.5, np.array([right, bottom]) - 0.5).astype(np.float32)


def clipped_box(box_xyxy: npt.ArrayLike, geometry: Geometry) -> Float32Array | None:
    """Clip a box (4,) to the part of the image that the model sees; return ``None`` if no area is left."""
    left, top, right, bottom = np.asarray(box_xyxy, np.float32)
    kept = geometry.kept
    clipped = np.array(
        [max(left, kept.left), max(top, kept.top), min(right, kept.right - 1), min(bottom, kept.bottom - 1)], np.float32
    )
    return clipped if clipped[0] < clipped[2] and clipped[1] < clipped[3] else None


def _box_in_frame(box_xyxy: npt.ArrayLike, geometry: Geometry) -> Float32Array:
    given = np.asarray(box_xyxy, np.float32)
    clipped = clipped_box(given, geometry)
    if clipped is None:
        left, top, right, bottom = given
        swapped = clipped_box(given[[1, 0, 3, 2]], geometry) is not None
        raise SettingsError(
            f"box_xyxy: [{left:g}, {top:g}, {right:g}, {bottom:g}] has no area inside of {_seen(geometry)}"
            f"{_SWAPPED * swapped}"
        )
    return geometry.box_to_model(clipped)


def _mask_in_frame(mask_input: npt.ArrayLike, mask_side: int) -> torch.Tensor:
    array, kind = finite_numbers(mask_input, "mask_input"), np.asarray(_without_gradient(mask_input)).dtype
    is_probable = array.size > 0 and array.min() >= 0 and 0 < array.max() <= 1
    if kind.kind != "f" or is_probable:
        found = "nothing but values from 0 to 1, as of a mask or of probabilities" if is_probable else f"{kind} values"
        raise SettingsError(
            "mask_input must be logits, positive inside and negative outside, as mask_logits of a prediction are; got "
            f"{found}"
        )
    side = array.shape[0] if array.ndim == 2 else 0
    if side < mask_side or array.shape != (side, side):
        raise SettingsError(
            f"mask_input must be ({mask_side}, {mask_side}) or finer low-resolution logits, as mask_logits of a "
            f"prediction are, got {array.shape}"
        )
    if side == mask_side:
        return torch.from_numpy(array)
    return F.interpolate(torch.from_numpy(array)[None, None], size=(mask_side, mask_side), mode="area")[0, 0]


def _seen(geometry: Geometry) -> str:
    size = f"the image of {geometry.width} x {geometry.height} pixels"
    if geometry.crop is None:
        return size
    left, top, right, bottom = geometry.crop
    return (
        f"columns {left} to {right - 1} and rows {top} to {bottom - 1}, what is left of {size} without its black border"
    )
