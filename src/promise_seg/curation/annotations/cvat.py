"""CVAT's XML for images. Parsed by ``defusedxml``."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from promise_seg.curation.annotations.documents import read_bytes
from promise_seg.curation.annotations.shapes import (
    AnnotatedImage,
    Bitmap,
    Document,
    Outline,
    Shape,
    bitmap_of,
    bitmap_of_runs,
    ellipse,
    polygon,
    rectangle,
    rotated_around,
)
from promise_seg.errors import ImageError

_AREAS = frozenset({"polygon", "mask", "box", "ellipse"})
_NO_SHAPES = frozenset({"tag", "attribute"})


def read_cvat(path: Path) -> Document:
    """Read polygons, masks, boxes and ellipses; shapes with the same ``group_id`` and class are one object.

    Raises:
        ImageError: if the file is not XML, or not in the format "CVAT for images".
    """
    root = _parsed(path)
    if root.tag != "annotations" or root.find("track") is not None or root.find("image") is None:
        what = "has tracks, which are of a video" if root.find("track") is not None else "has no images"
        raise ImageError(f"{path}: {what}; expected what CVAT exports as CVAT for images")
    document = Document(path)
    document.classes = [name.text or "" for name in root.iterfind("meta//labels/label/name")]
    for number, item in enumerate(root.iterfind("image")):
        with document.guarded(f"image {number}"):
            name = item.attrib["name"]
            sides = item.get("width"), item.get("height")
            size = (int(sides[0]), int(sides[1])) if sides[0] and sides[1] else None
            image = AnnotatedImage(name, f"{path}: {name}", size, split=item.get("subset", ""))
            document.images.append(image)
            for order, element in enumerate(item):
                with document.guarded(f"{name}, shape {order}", image):
                    _add(document, image, element)
    return document


def _parsed(path: Path) -> Element:
    try:
        root: Element = fromstring(read_bytes(path))
    except (ParseError, ValueError) as error:
        if isinstance(error, DefusedXmlException):
            raise ImageError(f"{path}: declares entities, which CVAT does not; refused") from None
        raise ImageError(f"{path}: not valid XML: {error}. Export it again") from None
    return root


def _add(document: Document, image: AnnotatedImage, element: Element) -> None:
    if element.tag in _NO_SHAPES:
        return
    if element.tag not in _AREAS:
        document.leave_out(image, element.tag)
        return
    group = element.get("group_id")
    image.shapes.append(
        Shape(
            _area(element.tag, element.attrib),
            element.get("label", ""),
            ("group", group) if group not in (None, "", "0") else None,
            height=float(element.get("z_order", 0)),
        )
    )


def _area(kind: str, of: Any) -> Outline | Bitmap:
    if kind == "polygon":
        return polygon(pair.split(",") for pair in of["points"].split(";") if pair.strip())
    turned = float(of.get("rotation", 0))
    if kind == "box":
        left, top, right, bottom = (float(of[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
        return Outline(((rotated_around(rectangle(left, top, right - left, bottom - top), turned),),))
    if kind == "ellipse":
        x, y, radius_x, radius_y = (float(of[name]) for name in ("cx", "cy", "rx", "ry"))
        return Outline(((ellipse(x, y, radius_x, radius_y, turned),),))
    left, top, width, height = (int(float(of[name])) for name in ("left", "top", "width", "height"))
    counts = np.array([int(count) for count in of["rle"].split(",")], np.int64)
    return bitmap_of(bitmap_of_runs(counts, (width, height), by_columns=False), top, left)
