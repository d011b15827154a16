"""COCO: a JSON file with lists of images, categories and annotations, which are outlines or run lengths."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from promise_seg.arrays import IntArray
from promise_seg.curation.annotations.documents import listed
from promise_seg.curation.annotations.shapes import (
    AnnotatedImage,
    Bitmap,
    BrokenShapeError,
    Document,
    Outline,
    Shape,
    bitmap_of,
    bitmap_of_runs,
    ring_of,
)
from promise_seg.errors import ImageError
from promise_seg.vocabulary import Axis

_LONGEST_NUMBER = 12
_SLICE = re.compile(r"(.+)#([0-9]{1,9})")
"""The name of an image that is a slice of a volume, as this program writes it: ``scan.nii.gz#12``, counted from 0."""


def is_coco(value: Any) -> bool:
    """Whether a JSON value is in COCO format."""
    return isinstance(value, Mapping) and isinstance(value.get("images"), list) and "annotations" in value


def read_coco(path: Path, value: Mapping[str, Any]) -> Document:
    """Read outlines, run lengths (compressed or not) and crowds.

    The outlines of an annotation are united, as in COCO's own tools; holes need run lengths. Annotations that only have
    a box or key points are not used. Images that are slices of a volume become one image with these slices, which are
    counted along the axis that the file states for them, or else along the default axis.

    Raises:
        ImageError: if two images, or two categories, have the same id.
    """
    document = Document(path)
    names, doubled = dict[Any, str](), ""
    for number, category in enumerate(listed(value.get("categories"))):
        with document.guarded(f"category {number}"):
            name = str(category["name"])
            before = names.setdefault(category["id"], name)
            if before != name:
                doubled = doubled or f"the categories {before} and {name} have the id {category['id']}"
    document.classes = [names[key] for key in sorted(names, key=_sortable)]
    images, volumes = dict[Any, tuple[str, AnnotatedImage, int]](), dict[str, AnnotatedImage]()
    for number, item in enumerate(listed(value["images"])):
        with document.guarded(f"image {number}"):
            name = str(item.get("file_name") or item["coco_url"])
            size = (int(item["width"]), int(item["height"])) if item.get("width") and item.get("height") else None
            other, _, _ = images.get(item["id"], (name, None, 0))
            if other != name:
                doubled = doubled or f"{other} and {name} have the id {item['id']}"
            axis = Axis(item.get("axis", Axis.AUTO))
            images[item["id"]] = (name, *_image_of(name, path, size, axis, volumes))
    if doubled:
        raise ImageError(f"{path}: {doubled}, so their annotations cannot be distinguished. Give each its own id")
    lost = Counter[str]()
    for number, item in enumerate(listed(value["annotations"])):
        where = f"annotation {item.get('id', number) if isinstance(item, Mapping) else number}"
        with document.guarded(where):
            if item["image_id"] not in images:
                lost["an image"] += 1
                continue
            _, image, index = images[item["image_id"]]
            with document.guarded(where, image):
                if item.get("category_id") not in names:
                    lost["a category"] += 1
                    image.undrawn += 1
                elif not item.get("segmentation"):
                    document.leave_out(image, "key points" if item.get("keypoints") else "box without an outline")
                else:
                    area, is_crowd = _area(item["segmentation"], image.size), bool(item.get("iscrowd"))
                    name = names[item["category_id"]]
                    image.shapes.append(Shape(area, name, ("annotation", number), is_crowd, slice=index))
    document.notes += [
        f"{path}: {count} annotation(s) left out, because they are of {what} that the file does not list"
        for what, count in lost.items()
    ]
    document.images = list({id(image): image for _, image, _ in images.values()}.values())
    return document


def _image_of(
    name: str, path: Path, size: tuple[int, int] | None, axis: Axis, volumes: dict[str, AnnotatedImage]
) -> tuple[AnnotatedImage, int]:
    """Return the image of a name and the index of the slice that the name states; a volume is made once."""
    found = _SLICE.fullmatch(name)
    if found is None:
        return AnnotatedImage(name, f"{path}: {name}", size, axis=axis), 0
    volume = volumes.setdefault(found[1], AnnotatedImage(found[1], f"{path}: {found[1]}", size, slices=[], axis=axis))
    if volume.axis != axis:
        raise BrokenShapeError(f"{name} is cut along another axis than other slices of {found[1]}")
    if volume.size != size:
        raise BrokenShapeError(f"{name} has another size than other slices of {found[1]}")
    index = int(found[2])
    volume.slices = [*(volume.slices or []), index]
    return volume, index


def _sortable(key: Any) -> tuple[bool, Any]:
    return (False, key) if isinstance(key, int) else (True, str(key))


def _area(segmentation: Any, size: tuple[int, int] | None) -> Outline | Bitmap:
    if isinstance(segmentation, Mapping):
        return _of_runs(segmentation, size)
    if segmentation and isinstance(segmentation[0], int | float):
        segmentation = [segmentation]
    rings = []
    for flat in segmentation:
        if len(flat) % 2:
            raise BrokenShapeError(f"has an outline of {len(flat)} numbers, but each point needs two")
        rings.append(ring_of(zip(flat[::2], flat[1::2], strict=True)))
    return Outline(tuple((ring,) for ring in rings))


def _of_runs(runs: Mapping[str, Any], size: tuple[int, int] | None) -> Bitmap:
    height, width = (int(side) for side in runs["size"])
    if size is not None and size != (width, height):
        raise BrokenShapeError(
            f"has run lengths of {width} x {height} pixels, but its image has {size[0]} x {size[1]} in the same file"
        )
    counts = runs["counts"]
    lengths = unpacked(counts) if isinstance(counts, str) else np.array(counts, np.int64)
    if not isinstance(counts, str) and not np.array_equal(lengths, np.array(counts, np.float64)):
        raise BrokenShapeError("has run lengths that are not whole numbers")
    return bitmap_of(bitmap_of_runs(lengths, (width, height), by_columns=True))


def unpacked(text: str) -> IntArray:
    """Return the lengths (N,) of compressed run lengths.

    ``pycocotools`` does the same, but reads invalid memory if the runs are too short for the mask. They are therefore
    unpacked and counted here.

    Raises:
        BrokenShapeError: if the text is not valid.
    """
    counts = list[int]()
    value = digits = 0
    for byte in text.encode():
        code = byte - 48
        if not 0 <= code < 64 or digits > _LONGEST_NUMBER:
            raise BrokenShapeError("has compressed run lengths that cannot be read")
        value |= (code & 31) << (5 * digits)
        digits += 1
        if not code & 32:
            if code & 16:
                value -= 1 << (5 * digits)
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = digits = 0
    if digits:
        raise BrokenShapeError("has compressed run lengths that end in the middle of a number")
    return np.array(counts, np.int64)
