"""LabelMe: a JSON file per image, with shapes in pixels."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from promise_seg.curation.annotations.shapes import (
    AnnotatedImage,
    Bitmap,
    BrokenShapeError,
    Document,
    Outline,
    Shape,
    bitmap_of,
    ellipse,
    polygon,
)
from promise_seg.images.formats.limits import max_values

_NOTHING = frozenset({"_background_", "__ignore__"})


def is_labelme(value: Any) -> bool:
    """Whether a JSON value is in LabelMe format."""
    return isinstance(value, Mapping) and isinstance(value.get("shapes"), list) and "imagePath" in value


def read_labelme(path: Path, value: Mapping[str, Any]) -> Document:
    """Read polygons, rectangles, circles and masks; shapes with the same label and ``group_id`` are one object."""
    document = Document(path)
    name = str(value["imagePath"] or f"{path.stem}.png").replace("\\", "/")
    image = AnnotatedImage(name, str(path))
    with document.guarded("size of the image"):
        if value.get("imageWidth") and value.get("imageHeight"):
            image.size = int(value["imageWidth"]), int(value["imageHeight"])
    for number, shape in enumerate(value["shapes"]):
        with document.guarded(f"shape {number}", image):
            label = str(shape.get("label") or "")
            if label in _NOTHING:
                document.unused[f"shape of {label}"] += 1
                continue
            area = _area(shape)
            if area is None:
                document.leave_out(image, shape.get("shape_type"))
            else:
                group = shape.get("group_id")
                image.shapes.append(Shape(area, label, None if group is None else ("group", str(group))))
    document.images = [image]
    return document


def _area(shape: Mapping[str, Any]) -> Outline | Bitmap | None:
    kind, points = shape.get("shape_type") or "polygon", shape["points"]
    if kind in ("polygon", "rotation"):
        return polygon(points)
    if kind == "rectangle":
        if len(points) > 2:  # some programs that use this format store four corners
            return polygon(points)
        (x0, y0), (x1, y1) = points
        return polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    if kind == "circle":
        (x, y), (edge_x, edge_y) = np.array(points, np.float64)
        radius = float(np.hypot(edge_x - x, edge_y - y))
        return Outline(((ellipse(x, y, radius, radius),),))
    if kind == "mask":
        left, top = (round(float(value)) for value in points[0])
        return bitmap_of(_decoded(shape["mask"]), top, left)
    return None


def _decoded(text: str) -> np.ndarray:
    """Return the mask (H, W) bool of a PNG encoded in Base64.

    Raises:
        BrokenShapeError: if it is not a readable PNG, or too large.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(text)), formats=["PNG"]) as picture:
            if picture.width * picture.height > max_values():
                raise BrokenShapeError(f"has a mask of {picture.width} x {picture.height} pixels, which is too large")
            return np.asarray(picture.convert("L") if picture.mode != "1" else picture) > 0
    except BrokenShapeError:
        raise
    except Exception as error:  # Pillow raises any kind of error for invalid data
        raise BrokenShapeError("has a mask that is not a PNG that can be read") from error
