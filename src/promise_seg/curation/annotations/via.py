"""The VGG Image Annotator (VIA), versions 1 and 2: projects and exports as JSON, and exports as CSV."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from promise_seg.curation.annotations.documents import listed, read_bytes, text_of
from promise_seg.curation.annotations.shapes import (
    AnnotatedImage,
    Document,
    Outline,
    Shape,
    ellipse,
    polygon,
    rectangle,
)
from promise_seg.errors import ImageError

_COLUMNS = {"filename", "region_shape_attributes", "region_attributes"}
_USUAL = ("class", "label", "name", "type", "category", "object", "structure")
_LONGEST_CELL = 2**27
_SURPLUS = "\0surplus"


def is_via(value: Any) -> bool:
    """Whether a JSON value is a project or an export of VIA, which maps keys to images with regions."""
    if not isinstance(value, Mapping):
        return False
    if "_via_img_metadata" in value:
        return isinstance(value["_via_img_metadata"], Mapping)
    items = list(value.values())
    return bool(items) and all(isinstance(one, Mapping) and {"filename", "regions"} <= set(one) for one in items)


def is_via_3(value: Any) -> bool:
    """Whether a JSON value is a project of VIA 3, which has another format."""
    return isinstance(value, Mapping) and {"project", "config", "attribute", "file", "metadata"} <= set(value)


def read_via(path: Path, value: Mapping[str, Any], attribute: str | None = None) -> Document:
    """Read polygons, rectangles, circles and ellipses of a project or an export.

    Args:
        path: the file.
        value: the parsed content of the file.
        attribute: attribute of regions that holds the class; by default the only one, or one with a common name.

    Raises:
        ImageError: if it is unclear which attribute holds the class, or no region has the given attribute.
    """
    regions = list[tuple[str, Any, Any]]()
    names = dict[str, str]()
    for number, (key, item) in enumerate(value.get("_via_img_metadata", value).items()):
        names[key] = str(item.get("filename") or number) if isinstance(item, Mapping) else str(number)
        for region in listed(item.get("regions")) if isinstance(item, Mapping) else ():
            of = region if isinstance(region, Mapping) else {}
            regions.append((key, of.get("shape_attributes"), of.get("region_attributes")))
    return _document(path, names, regions, attribute)


def is_via_csv(path: Path) -> bool:
    """Whether a CSV is an export of VIA, by its header."""
    try:
        with path.open("rb") as file:
            head = file.readline(4096).decode("utf-8-sig", "replace")
        return set(next(csv.reader(head.splitlines()[:1]), [])) >= _COLUMNS
    except (OSError, csv.Error):
        return False


def read_via_csv(path: Path, attribute: str | None = None) -> Document:
    """Read a CSV export; see :func:`read_via`.

    Raises:
        ImageError: if it cannot be read, or the attribute of the class is unclear or missing.
    """
    regions = list[tuple[str, Any, Any]]()
    names = dict[str, str]()
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        reader = csv.DictReader(io.StringIO(text_of(path, read_bytes(path)), newline=""), restkey=_SURPLUS)
        for row in reader:
            _check_cells(f"{path}:{reader.line_num}", row)
            name = (row.get("filename") or "").lstrip("#")
            key = f"{name}{row.get('file_size') or ''}"  # as in the JSON formats
            names[key] = name
            shape = _parsed(row.get("region_shape_attributes"))
            if shape != {}:
                regions.append((key, shape, _parsed(row.get("region_attributes"))))
    except csv.Error as error:
        raise ImageError(f"{path}: cannot be read as a CSV: {error}") from None
    finally:
        csv.field_size_limit(before)
    return _document(path, names, regions, attribute)


def _check_cells(where: str, row: Mapping[str, Any]) -> None:
    """Check that a row of a CSV has no cells beyond its header, as if the quotes around JSON were lost.

    Raises:
        ImageError: if it has.
    """
    surplus = [cell for cell in row.get(_SURPLUS, ()) if cell.strip()]
    if surplus:
        raise ImageError(
            f"{where}: found {len(surplus)} cell(s) beyond the last column of the header, the first of which is "
            f"{surplus[0][:40]!r}; expected cells that contain commas in quotes. Export the CSV from VIA again"
        )


def _parsed(cell: str | None) -> Any:
    try:
        return json.loads(cell or "{}")
    except (ValueError, RecursionError):
        return None


def _document(
    path: Path, names: Mapping[str, str], regions: list[tuple[str, Any, Any]], attribute: str | None
) -> Document:
    """Return the images of a file; images of the same name, which come from several folders, are kept apart.

    Args:
        path: the file.
        names: the name of each image, by its key, which is its name and its size in bytes.
        regions: key of the image, shape and attributes of each region.
        attribute: see :func:`read_via`.
    """
    document = Document(path, has_attributes=True)
    class_key = _attribute_of(path, [attributes for *_, attributes in regions], attribute)
    counts = Counter(names.values())
    images = {key: AnnotatedImage(name, f"{path}: {name if counts[name] == 1 else key}") for key, name in names.items()}
    for number, (key, shape, attributes) in enumerate(regions):
        with document.guarded(f"{names[key]}, region {number}", images[key]):
            area = _area(shape)
            if area is None:
                document.leave_out(images[key], shape.get("name"))
                continue
            labels = list(_values((attributes or {}).get(class_key))) or [""]
            images[key].shapes += [Shape(area, label, ("region", number)) for label in labels]
    document.images = list(images.values())
    return document


def _attribute_of(path: Path, regions: list[Any], wanted: str | None) -> str:
    counts = Counter(
        str(key) for region in regions if isinstance(region, Mapping) for key in region if any(_values(region[key]))
    )
    if wanted is not None:
        if wanted not in counts and regions:
            raise ImageError(
                f"{path}: --attribute {wanted}: no region has it; there are {', '.join(counts) or 'no attributes'}"
            )
        return wanted
    if len(counts) < 2:
        return next(iter(counts), "")
    usual = [key for name in _USUAL for key in counts if key.lower() == name]
    if not usual:
        raise ImageError(
            f"{path}: regions have several attributes ({', '.join(counts)}). Say which of them is the class, such as "
            f"--attribute {counts.most_common(1)[0][0]}"
        )
    return usual[0]


def _values(value: Any) -> Iterator[str]:
    """Yield the classes in an attribute, which is text, or maps each class to whether it is ticked."""
    if isinstance(value, Mapping):
        yield from (str(key) for key, ticked in value.items() if ticked)
    elif value not in (None, ""):
        yield str(value).strip()


def _area(shape: Mapping[str, Any]) -> Outline | None:
    kind = shape["name"]
    if kind == "polygon":
        return polygon(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
    if kind == "rect":
        ring = rectangle(shape["x"], shape["y"], shape["width"], shape["height"])
    elif kind == "circle":
        ring = ellipse(shape["cx"], shape["cy"], shape["r"], shape["r"])
    elif kind == "ellipse":
        ring = ellipse(shape["cx"], shape["cy"], shape["rx"], shape["ry"], np.rad2deg(float(shape.get("theta") or 0)))
    else:
        return None
    return Outline(((ring,),))
