"""GeoJSON as QuPath writes it, against drawings of scikit-image."""

import numpy as np
import pytest

from tests.curation.annotations.helpers import (
    HOLE,
    LARGE,
    LOWER,
    STAR,
    accepted,
    drawn,
    iou,
    labels_in,
    run,
    write_image,
    write_json,
)


def closed(ring):
    return [[float(x), float(y)] for x, y in [*ring, ring[0]]]


def feature(kind, coordinates, name="Tumor", **properties):
    classification = {"classification": {"name": name, "color": [200, 0, 0]}} if name else {}
    return {"type": "Feature", "id": "x", "geometry": {"type": kind, "coordinates": coordinates},
            "properties": {"objectType": "annotation"} | classification | properties}  # fmt: skip


def as_collection(features):
    return {"type": "FeatureCollection", "features": features}


def as_list(features):
    return features


@pytest.fixture
def place(tmp_path):
    write_image(tmp_path / "data/slide [x=1].png")
    return tmp_path / "data/slide [x=1].geojson"


@pytest.mark.parametrize("form", [as_collection, as_list])
def test_holes_and_parts(place, tmp_path, form):
    features = [
        feature("MultiPolygon", [[closed(LARGE), closed(HOLE)], [closed(LOWER)]]),
        feature("Polygon", [closed(STAR)], "Immune cells: CD8"),
        feature("LineString", [[1, 2], [3, 4]]), feature("Point", [1, 2]),
    ]  # fmt: skip
    result = run(write_json(place, form(features)), tmp_path / "m.csv")
    found = labels_in(result)
    assert result.classes == {"Immune cells: CD8": 1, "Tumor": 2}
    assert iou(found == 2, drawn(LARGE, HOLE) | drawn(LOWER)) >= 0.99
    assert not found[75, 160]
    assert iou(found == 1, drawn(STAR)) >= 0.99
    assert "2 shape(s) left out, because they have no area: LineString 1, Point 1" in result.remarks
    (row,) = accepted(tmp_path / "m.csv", label=2)
    assert np.array_equal(row.mask(), found == 2)


def test_parts_of_a_feature_are_one_object_and_cells_have_their_own(place, tmp_path):
    inner = {"type": "Polygon", "coordinates": [closed(HOLE)]}
    features = [
        feature("MultiPolygon", [[closed(STAR)], [closed(LOWER)]], None),
        feature("Polygon", [closed(LARGE), closed(HOLE)], None, objectType="cell"),
        feature("Polygon", [], None) | {"geometry": {"type": "GeometryCollection", "geometries": [inner]}},
    ]  # fmt: skip
    found = labels_in(run(write_json(place, as_collection(features)), tmp_path / "m.csv", masks="instances"))
    assert iou(found == 1, drawn(STAR) | drawn(LOWER)) >= 0.99
    assert iou(found == 2, drawn(LARGE, HOLE)) >= 0.99
    assert iou(found == 3, drawn(HOLE)) >= 0.99


def test_children_of_a_feature_lie_on_it(place, tmp_path):
    inner = feature("Polygon", [closed(HOLE)], "Cell", childObjects=5)
    outer = feature("Polygon", [closed(LARGE)], childObjects=[inner])
    found = labels_in(run(write_json(place, [outer]), tmp_path / "m.csv"))
    assert iou(found == 1, drawn(HOLE)) >= 0.99
    assert iou(found == 2, drawn(LARGE, HOLE)) >= 0.99


@pytest.mark.parametrize("classification", ["Tumor", {"name": "Tumor"}, {"names": ["Tumor"]}])
def test_classifications_of_all_versions(place, tmp_path, classification):
    one = feature("Polygon", [closed(STAR)], None, classification=classification)
    assert list(run(write_json(place, [one]), tmp_path / "m.csv").classes) == ["Tumor"]


@pytest.mark.parametrize(
    "broken",
    [feature("Polygon", [[[1, 2], [3, 4], [1, 2]]]), feature("Polygon", []), feature("Polygon", [[["a", 2]] * 4]), {},
     feature("MultiPolygon", [[[1, 2]]]), feature("Polygon", None), 5,
     feature("Polygon", [[[1, 2], [None, 4], [5, 6], [1, 2]]])],
)  # fmt: skip
def test_a_broken_feature_is_named_and_the_others_are_kept(place, tmp_path, broken):
    result = run(write_json(place, as_collection([broken, feature("Polygon", [closed(STAR)])])), tmp_path / "m.csv")
    assert any("left out" in line for line in result.remarks)
    assert iou(labels_in(result) > 0, drawn(STAR)) >= 0.99


def test_the_image_has_the_name_of_the_file(place, tmp_path):
    write_image(place.parent / "IMG.png")
    one = [feature("Polygon", [closed(STAR)])]
    write_json(place, one)
    write_json(place.parent / "IMG.svs.geojson", one)
    write_json(place.parent / "nobody.geojson", one)
    result = run(place.parent, tmp_path / "m.csv")
    assert [pair.image.name for pair in result.pairs] == ["IMG.png", "slide [x=1].png"]
    assert any(line.startswith("1 image(s) of the annotations not found: nobody") for line in result.remarks)
