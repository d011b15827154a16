"""Write outlines as GeoJSON, which QuPath opens when the file is dragged onto the image.

Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import ndimage

from promise_seg.arrays import BoolArray, Float64Array, Uint16Array
from promise_seg.prediction.labelled import Labelled, LabelledSlice
from promise_seg.prediction.outputs.reading_back import write_checked


def write_geojson(labelled: Labelled, path: Path) -> None:
    """Write a collection of polygons: one for each object of an instance map or connected component of a label.

    Coordinates are in pixels from the image's upper left corner, so the centre of the first pixel is at (0.5, 0.5). For
    a volume, each polygon states its plane.
    """
    features = [feature for index in range(len(labelled.slices)) for feature in _features(labelled, index)]
    text = json.dumps({"type": "FeatureCollection", "features": features})  # thousands of points: not indented
    shape = labelled.stack.shape
    planes = {labelled.source.number_of(index): index for index in range(len(labelled.slices))}

    def read(written: Path) -> Uint16Array:
        return _drawn(json.loads(written.read_text(encoding="utf-8"))["features"], shape, planes)

    write_checked(labelled, path, lambda to: to.write_text(text, encoding="utf-8"), read, labelled.stack)


def _features(labelled: Labelled, index: int) -> Iterator[dict[str, Any]]:
    one = labelled.slices[index]
    for number, label, rings in _outlines(labelled, one):
        geometry: dict[str, Any] = {"type": "Polygon", "coordinates": rings}
        if labelled.source.is_volume:
            geometry["plane"] = {"c": -1, "z": labelled.source.number_of(index), "t": 0}
        properties: dict[str, Any] = {
            "objectType": "annotation" if one.objects is None else "detection",
            "classification": {"name": labelled.names[label]},
            "label": number if one.objects is not None else label,
        }
        if one.objects is not None:
            found = one.objects[number - one.objects[0].id]
            properties["measurements"] = {"Area px^2": found.area_pixels, "Score": round(found.score, 4)}
        name = f"{labelled.source.path.name}#{index}#{number}"
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "geometry": geometry,
            "properties": properties,
        }


def _outlines(labelled: Labelled, one: LabelledSlice) -> Iterator[tuple[int, int, list[list[list[float]]]]]:
    """Yield number, label and rings of each object, or of each connected component of a label."""
    count = 0
    for label in labelled.names:
        parts = one.labels.astype(np.int32)
        if one.objects is None:
            _, parts = cv2.connectedComponents(one.mask_of(label).astype(np.uint8), connectivity=8)
        for number, window in enumerate(ndimage.find_objects(parts), 1):
            if window is not None:
                count += 1
                rings = _rings(parts[window] == number, window[1].start, window[0].start)
                yield number if one.objects is not None else count, label, rings


def _rings(mask: BoolArray, left: int, top: int) -> list[list[list[float]]]:
    """Return the outline of a connected mask (h, w), followed by those of its holes, offset by ``left`` and ``top``."""
    from skimage.measure import find_contours  # takes long to import

    found = find_contours(np.pad(mask, 1).astype(np.float64), 0.5, fully_connected="high")
    rings = [ring[:, ::-1] - 1 + (left + 0.5, top + 0.5) for ring in found]
    rings.sort(key=lambda ring: -abs(_area(ring)))
    return [_without_straight(ring).tolist() for ring in rings]


def _area(ring: Float64Array) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def _without_straight(ring: Float64Array) -> Float64Array:
    """Remove the points of a closed ring at which its direction does not change."""
    points = ring[:-1]
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    kept = points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return np.concatenate([kept, kept[:1]])


def _drawn(features: list[dict[str, Any]], shape: tuple[int, ...], planes: dict[int, int]) -> Uint16Array:
    """Draw features as labels of the given shape (N, H, W); ``planes`` maps slice numbers to indices."""
    from skimage.draw import polygon

    stack = np.zeros(shape, np.uint16)
    for feature in features:
        geometry = feature["geometry"]
        labels = stack[planes[geometry["plane"]["z"]] if "plane" in geometry else 0]
        outer, *holes = (np.array(ring) - 0.5 for ring in geometry["coordinates"])
        top, left = np.floor(outer[:, ::-1].min(0)).astype(int)
        size = tuple(np.ceil(outer[:, ::-1].max(0)).astype(int) - (top, left) + 1)
        inside = np.zeros(size, bool)
        for ring, value in ((outer, True), *((hole, False) for hole in holes)):
            inside[polygon(ring[:, 1] - top, ring[:, 0] - left, size)] = value
        rows, columns = np.nonzero(inside)
        labels[rows + top, columns + left] = feature["properties"]["label"]
    return stack
