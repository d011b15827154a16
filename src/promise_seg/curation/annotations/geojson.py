"""GeoJSON as exported by QuPath: a file per image, with the name of the image, and features in pixels."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promise_seg.curation.annotations.documents import listed
from promise_seg.curation.annotations.shapes import (
    AnnotatedImage,
    Document,
    Outline,
    Ring,
    Shape,
    ring_of,
)

_AREAS = frozenset({"Polygon", "MultiPolygon", "GeometryCollection"})


def is_geojson(value: Any) -> bool:
    """Whether a JSON value is GeoJSON: a feature collection, a list of features, or a single feature."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], Mapping) and value[0].get("type") == "Feature"
    return isinstance(value, Mapping) and value.get("type") in ("FeatureCollection", "Feature")


def read_geojson(path: Path, value: Any) -> Document:
    """Read polygons, which may have holes and several parts, with their classification; for cells, the whole cell.

    The file does not state its image, so it belongs to the image of the same name.
    """
    document = Document(path)
    image = AnnotatedImage(path.name.removesuffix(path.suffix), str(path))
    is_collection = isinstance(value, Mapping) and value.get("type") == "FeatureCollection"
    features = listed(value.get("features")) if is_collection else value if isinstance(value, list) else [value]
    for number, feature in enumerate(_all_of(features)):
        with document.guarded(f"feature {number}", image):
            geometry = feature.get("geometry") or {"type": "feature without a geometry"}
            if geometry["type"] not in _AREAS:
                document.leave_out(image, geometry["type"])
                continue
            area, name = Outline(tuple(_parts(geometry))), _class_of(feature.get("properties"))
            image.shapes.append(Shape(area, name, ("feature", number)))
    document.images = [image]
    return document


def _all_of(features: list[Any]) -> Iterator[Any]:
    """Yield features, each before the features inside it, which QuPath may export as its children."""
    waiting = features[::-1]
    while waiting:
        feature = waiting.pop()
        yield feature
        properties = feature.get("properties") if isinstance(feature, Mapping) else None
        if isinstance(properties, Mapping):
            waiting += listed(properties.get("childObjects"))[::-1]


def _parts(geometry: Mapping[str, Any]) -> Iterator[tuple[Ring, ...]]:
    if geometry["type"] == "GeometryCollection":
        for inner in geometry["geometries"]:
            yield from _parts(inner)
    elif geometry["type"] in _AREAS:
        polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        for rings in polygons:
            yield tuple(ring_of(ring) for ring in rings)


def _class_of(properties: Any) -> str:
    """Return the name of the classification (a string in older versions of QuPath); empty if there is none."""
    found = properties.get("classification") if isinstance(properties, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get("name") or ": ".join(map(str, listed(found.get("names"))))
    return str(found or "")
