"""The prompts of a SAM."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from promise_seg.errors import SettingsError

FOREGROUND, BACKGROUND = 1, 0
PADDING = -10
"""The label of padding points, for sets of prompts with different numbers of points."""
PER_SET = ("points_xy_model", "point_labels", "boxes_xyxy_model", "mask_logits")
"""The parts of prompts that have an entry for each of the K sets of an image."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Prompts for a batch of B images with K sets of prompts each; any part may be ``None``, or all.

    Shape:
        points_xy_model: (B, K, N, 2) float, (x, y) pixel indices in the model frame; integers are pixel centres.
        point_labels: (B, K, N) integer, 1 foreground, 0 background, -10 for padding.
        boxes_xyxy_model: (B, K, 4) float, (x0, y0, x1, y1) indices of the first and last pixels in the model frame.
        mask_logits: (B, K, 4h, 4w), a low-resolution mask as :meth:`Backbone.decode` returns it.
    Raises:
        SettingsError: if a shape is wrong or shapes do not match, or there are points without labels or labels without
            points.
    """

    points_xy_model: Tensor | None = None
    point_labels: Tensor | None = None
    boxes_xyxy_model: Tensor | None = None
    mask_logits: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.points_xy_model is None) != (self.point_labels is None):
            raise SettingsError("points need labels and labels need points: give both or neither")
        if self.points_xy_model is not None and self.point_labels is not None:
            if self.points_xy_model.ndim != 4 or self.points_xy_model.shape[-1] != 2:
                raise SettingsError(f"points must be (B, K, N, 2), got {tuple(self.points_xy_model.shape)}")
            if self.point_labels.shape != self.points_xy_model.shape[:3]:
                expected, found = tuple(self.points_xy_model.shape[:3]), tuple(self.point_labels.shape)
                raise SettingsError(f"point labels must be {expected}, one for each point, got {found}")
        if self.boxes_xyxy_model is not None and (
            self.boxes_xyxy_model.ndim != 3 or self.boxes_xyxy_model.shape[-1] != 4
        ):
            raise SettingsError(f"boxes must be (B, K, 4), got {tuple(self.boxes_xyxy_model.shape)}")
        if self.mask_logits is not None and self.mask_logits.ndim != 4:
            raise SettingsError(f"mask prompts must be (B, K, H, W), got {tuple(self.mask_logits.shape)}")
        if len({tuple(p.shape[:2]) for p in self._parts()}) > 1:
            raise SettingsError("points, boxes and masks must agree on the number of images and of prompts per image")

    def _parts(self) -> list[Tensor]:
        return [p for p in (self.points_xy_model, self.boxes_xyxy_model, self.mask_logits) if p is not None]

    @property
    def batch(self) -> int:
        """B, the number of images; 0 if there are no prompts at all."""
        parts = self._parts()
        return len(parts[0]) if parts else 0

    @property
    def per_image(self) -> int:
        """K, the number of sets of prompts per image; 1 if there are no prompts at all."""
        parts = self._parts()
        return parts[0].shape[1] if parts else 1

    def sets(self, start: int, end: int) -> Self:
        """Return the sets of prompts from ``start`` to ``end`` (exclusive) of each image."""
        return self._changed(lambda part: part[:, start:end], PER_SET)

    def images(self, start: int, end: int) -> Self:
        """Return the prompts of the images from ``start`` to ``end`` (exclusive)."""
        return self._changed(lambda part: part[start:end], tuple(vars(self)))

    def to(self, device: torch.device | str) -> Self:
        """Move the prompts to a device."""
        return self._changed(lambda part: part.to(device), tuple(vars(self)))

    def _changed(self, change: Callable[[Tensor], Tensor], names: tuple[str, ...]) -> Self:
        parts = {name: getattr(self, name) for name in names}
        return replace(self, **{name: None if part is None else change(part) for name, part in parts.items()})
