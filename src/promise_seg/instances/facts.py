"""Measurements of each object of an image: size, position, grey level and score."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from promise_seg.arrays import Uint8Array
from promise_seg.instances.outlining import ObjectMask
from promise_seg.instances.painting import InstanceMap

_SMALL_PIXEL = 0.02  # mm: areas of smaller pixels are given in µm²
_UM2_PER_MM2 = 1e6


@dataclass(frozen=True)
class FoundObject:
    """One object of an image, in the image frame.

    Args:
        id: number of the object in the instance map.
        area_pixels: area in pixels.
        centre_xy: centre of mass, (x, y) pixel indices.
        box_xyxy: indices of the first and last pixels: left, top, right, bottom.
        mean_intensity: mean of the object's pixels over the three channels as the model reads them, 0 to 255.
        score: confidence, 0 to 1: the mean probability of the object's pixels.
        point_xy: point prompt of the object.
        predicted_iou: SAM's estimate of the IoU, if SAM contributed to the mask.
        area: area in ``area_unit``, if the pixel size is known.
        area_unit: ``mm2`` or, for small pixels, ``um2``.
    """

    id: int
    area_pixels: int
    centre_xy: tuple[float, float]
    box_xyxy: tuple[int, int, int, int]
    mean_intensity: float
    score: float
    point_xy: tuple[float, float]
    predicted_iou: float | None = None
    area: float | None = None
    area_unit: str = ""

    def record(self) -> dict[str, Any]:
        """Return the measurements by column name of ``objects.csv``."""
        left, top, right, bottom = self.box_xyxy
        return {
            "id": self.id,
            "area_pixels": self.area_pixels,
            "area": self.area,
            "area_unit": self.area_unit,
            "x": round(self.centre_xy[0], 2),
            "y": round(self.centre_xy[1], 2),
            "left": left,
            "top": top,
            "right": right,
            "bottom": bottom,
            "mean_intensity": round(self.mean_intensity, 2),
            "score": round(self.score, 4),
            "predicted_iou": None if self.predicted_iou is None else round(self.predicted_iou, 4),
            "point_x": round(self.point_xy[0], 1),
            "point_y": round(self.point_xy[1], 1),
        }


def facts_of(
    found: InstanceMap, rgb: Uint8Array, spacing: tuple[float, float] | None = None
) -> tuple[FoundObject, ...]:
    """Measure each object of an image, in the order of their numbers.

    Args:
        found: the objects.
        rgb: the image (H, W, 3) as the model reads it.
        spacing: distances between rows and between columns in mm, if known.
    """
    return tuple(_facts(found, rgb, spacing))


def _facts(found: InstanceMap, rgb: Uint8Array, spacing: tuple[float, float] | None) -> Iterator[FoundObject]:
    for number, one in enumerate(found.objects, 1):
        yield facts_of_object(number, one, rgb[one.window], spacing)


def facts_of_object(
    number: int, one: ObjectMask, rgb: Uint8Array, spacing: tuple[float, float] | None = None
) -> FoundObject:
    """Measure one object.

    Args:
        number: number of the object in the instance map.
        one: the object.
        rgb: pixels (h, w, 3) of the object's window.
        spacing: see :func:`facts_of`.
    """
    rows, columns = np.nonzero(one.mask)
    area, unit = _in_space(len(rows), spacing)
    return FoundObject(
        id=number,
        area_pixels=len(rows),
        centre_xy=(one.left + float(columns.mean()), one.top + float(rows.mean())),
        box_xyxy=_box(one, rows, columns),
        mean_intensity=float(rgb[one.mask].mean()),
        score=one.score,
        point_xy=one.point_xy,
        predicted_iou=one.predicted_iou,
        area=area,
        area_unit=unit,
    )


def _box(one: ObjectMask, rows: np.ndarray, columns: np.ndarray) -> tuple[int, int, int, int]:
    left, top = one.left + int(columns.min()), one.top + int(rows.min())
    return left, top, one.left + int(columns.max()), one.top + int(rows.max())


def _in_space(pixels: int, spacing: tuple[float, float] | None) -> tuple[float | None, str]:
    """Return an area and its unit; ``None`` and no unit if the pixel size is unknown or invalid."""
    if spacing is None or not (spacing[0] > 0 and spacing[1] > 0 and np.isfinite(spacing).all()):
        return None, ""
    square_mm = pixels * spacing[0] * spacing[1]
    if max(spacing) < _SMALL_PIXEL:
        return float(f"{square_mm * _UM2_PER_MM2:.6g}"), "um2"
    return float(f"{square_mm:.6g}"), "mm2"
