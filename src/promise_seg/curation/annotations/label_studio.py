"""Label Studio: exports as JSON or JSON-MIN, lists of tasks with regions in per cent of the image."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from promise_seg.curation.annotations.label_studio_brush import unpacked_brush
from promise_seg.curation.annotations.shapes import (
    AnnotatedImage,
    Bitmap,
    BrokenShapeError,
    Document,
    Outline,
    Shape,
    bitmap_of,
    ellipse,
    rectangle,
    ring_of,
)
from promise_seg.images.formats.kinds import suffix_of

_MIN_KEYS = frozenset({"annotation_id", "annotator", "lead_time"})
_NO_AREAS = frozenset({"labels", "choices", "textarea", "rating", "taxonomy", "number", "pairwise", "datetime"})


def is_label_studio(value: Any) -> bool:
    """Whether a JSON value is an export of Label Studio."""
    if not isinstance(value, list) or not value or not isinstance(value[0], Mapping):
        return False
    first = value[0]
    return ("data" in first and ("annotations" in first or "completions" in first)) or bool(_MIN_KEYS & set(first))


def read_label_studio(path: Path, tasks: list[Any]) -> Document:
    """Read polygons, brushes, rectangles and ellipses, including rotated ones.

    Cancelled annotations and predictions are ignored. A task without annotations is an unfinished image; a task with
    several annotations is an image that was annotated several times.
    """
    document = Document(path)
    for number, task in enumerate(tasks):
        name = f"task {task.get('id', number) if isinstance(task, Mapping) else number}"
        with document.guarded(name):
            document.images += _images(document, task, name)
    return document


def _images(document: Document, task: Mapping[str, Any], name: str) -> Iterator[AnnotatedImage]:
    if "data" in task:
        file = _file_named(task["data"]) or str(task.get("file_upload") or "")
        done = task.get("annotations") or task.get("completions") or []
        results = [one.get("result") or [] for one in done if not one.get("was_cancelled")]
    else:
        file = _file_named(task)
        results = [[item for value in task.values() if isinstance(value, list) for item in value]]
    where = f"{document.path}: {name}, {file}"
    if not results:
        yield AnnotatedImage(file, where, is_finished=False)
    for result in results:
        image = AnnotatedImage(file, where)
        regions = defaultdict[Any, list[Mapping[str, Any]]](list)
        for number, item in enumerate(result):
            if isinstance(item, Mapping):
                regions[item.get("id", number)].append(item)
        for key, items in regions.items():
            with document.guarded(f"{name}, region {key}", image):
                _add(document, image, key, items)
        yield image


def _file_named(values: Any) -> str:
    """Return the file that a task names: an upload, a file served from a folder, or an address.

    Among several texts, the first with the suffix of an image is used, otherwise the first that may be a file.
    """
    names = list[str]()
    for value in values.values() if isinstance(values, Mapping) else ():
        if isinstance(value, str) and "." in value:
            served = value.partition("?d=")[2].partition("&")[0]
            path = unquote(served or value.partition("?")[0]).replace("\\", "/")
            names.append(path.partition("://")[2] or path)
    return next((name for name in names if suffix_of(Path(name))), names[0] if names else "")


def _add(document: Document, image: AnnotatedImage, key: Any, items: list[Mapping[str, Any]]) -> None:
    """Add a region, which may consist of several items: one with its geometry, one with its labels."""
    values = [item.get("value", item) for item in items]
    placed = next((index for index, value in enumerate(values) if _kind_of(value)), None)
    if placed is None:
        kind = str(items[0].get("type") or "region without an area").removesuffix("labels")
        if kind and kind not in _NO_AREAS:
            document.leave_out(image, kind)
        return
    item, value = items[placed], values[placed]
    if item.get("image_rotation") or value.get("image_rotation"):
        raise BrokenShapeError("was drawn on an image that was rotated in Label Studio, so its place is unclear")
    sizes = [(of.get("original_width"), of.get("original_height")) for of in (item, value)]
    size = next(((int(width), int(height)) for width, height in sizes if width and height), None)
    if size is not None and image.size not in (None, size):
        raise BrokenShapeError(f"is of an image of {size[0]} x {size[1]} pixels, unlike others of the same task")
    image.size = size or image.size
    area = _area(value, size)
    names = [name for of in values for name in _labels(of)] or [""]
    image.shapes += [Shape(area, name, ("region", key)) for name in dict.fromkeys(names)]


def _labels(value: Mapping[str, Any]) -> list[str]:
    return [
        str(name)
        for key, names in value.items()
        if key.endswith("labels") and isinstance(names, list)
        for name in names
    ]


def _kind_of(value: Mapping[str, Any]) -> str:
    if value.get("rle"):
        return "brush"
    if isinstance(value.get("points"), list):
        return "polygon"
    if "radiusX" in value:
        return "ellipse"
    return "rectangle" if {"x", "y", "width", "height"} <= set(value) and "keypointlabels" not in value else ""


def _area(value: Mapping[str, Any], size: tuple[int, int] | None) -> Outline | Bitmap:
    kind = _kind_of(value)
    if kind == "brush":
        if size is None:
            raise BrokenShapeError("has a brush, but not the size of its image (original_width, original_height)")
        return bitmap_of(unpacked_brush(value["rle"], size))
    turned = float(value.get("rotation") or 0)
    if turned and size is None:
        raise BrokenShapeError("is rotated, but lacks the size of its image (original_width, original_height)")
    width, height = size or (1, 1)
    unit = np.array([width, height], np.float64) / 100
    if kind == "polygon":
        ring = ring_of(value["points"]) * unit
    elif kind == "ellipse":
        (x, y), (radius_x, radius_y) = (
            np.array([float(value[name]) for name in names]) * unit for names in (("x", "y"), ("radiusX", "radiusY"))
        )
        ring = ellipse(x, y, radius_x, radius_y, turned)
    else:
        (x, y), (w, h) = (
            np.array([float(value[name]) for name in names]) * unit for names in (("x", "y"), ("width", "height"))
        )
        ring = rectangle(x, y, w, h, turned)
    return Outline(((ring,),), is_relative=size is None)
