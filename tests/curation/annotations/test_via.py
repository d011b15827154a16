"""VIA's projects, exports and CSV, against drawings of scikit-image and equations."""

import csv
import json

import numpy as np
import pytest

from promise_seg.errors import ImageError, PromiseError
from tests.curation.annotations.helpers import (
    LARGE,
    STAR,
    drawn,
    drawn_ellipse,
    iou,
    labels_in,
    run,
    write_image,
    write_json,
)


def polygon(ring, **attributes):
    (x, y), name = zip(*ring, strict=True), "polygon"
    return {"shape_attributes": {"name": name, "all_points_x": x, "all_points_y": y}, "region_attributes": attributes}


def region(name, attributes, **numbers):
    return {"shape_attributes": {"name": name} | numbers, "region_attributes": attributes}


REGIONS = [
    polygon(STAR, kind="star"),
    region("rect", {"kind": "box"}, x=10, y=112, width=60, height=38),
    region("circle", {"kind": "disc"}, cx=160.5, cy=60, r=30),
    region("ellipse", {"kind": "egg"}, cx=150, cy=125, rx=40, ry=20, theta=0.3),
    region("polyline", {"kind": "line"}, all_points_x=[1, 2], all_points_y=[3, 4]),
    region("point", {"kind": "line"}, cx=1, cy=2),
]


def export(regions, name="a.png"):
    return {f"{name}1234": {"filename": name, "size": 1234, "regions": regions, "file_attributes": {}}}


def as_project(path, regions):
    return write_json(
        path.with_suffix(".json"),
        {"_via_settings": {}, "_via_img_metadata": export(regions), "_via_attributes": {}, "_via_image_id_list": []},
    )


def as_export(path, regions):
    return write_json(path.with_suffix(".json"), export(regions))


def as_version_1(path, regions):
    return write_json(path.with_suffix(".json"), export({str(key): one for key, one in enumerate(regions)}))


def as_csv(path, regions):
    names = ["filename", "file_size", "file_attributes", "region_count", "region_id", "region_shape_attributes",
             "region_attributes"]  # fmt: skip
    path = path.with_suffix(".csv")
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for number, one in enumerate(regions):
            shape, attributes = (json.dumps(one[key]) for key in ("shape_attributes", "region_attributes"))
            writer.writerow(["a.png", 1234, "{}", len(regions), number, shape, attributes])
        if not regions:
            writer.writerow(["a.png", 1234, "{}", 0, 0, "{}", "{}"])
    return path


@pytest.fixture
def place(tmp_path):
    write_image(tmp_path / "data/a.png")
    return tmp_path / "data/via"


@pytest.mark.parametrize("write", [as_project, as_export, as_version_1, as_csv])
def test_every_shape(place, tmp_path, write):
    result = run(write(place, REGIONS), tmp_path / "m.csv")
    assert result.classes == {"box": 1, "disc": 2, "egg": 3, "star": 4}
    found = labels_in(result)
    assert iou(found == 1, drawn([(10, 112), (70, 112), (70, 150), (10, 150)])) >= 0.99
    assert iou(found == 2, drawn_ellipse(160.5, 60, 30, 30) & (found != 3)) >= 0.99
    assert iou(found == 3, drawn_ellipse(150, 125, 40, 20, np.rad2deg(0.3))) >= 0.99
    assert iou(found == 4, drawn(STAR)) >= 0.99
    assert "2 shape(s) left out, because they have no area: polyline 1, point 1" in result.remarks


@pytest.mark.parametrize("write", [as_project, as_csv])
def test_an_image_without_regions_is_empty_only_if_that_is_wished(place, tmp_path, write):
    write_image(place.parent / "b.png")
    regions = [polygon(STAR, kind="star")]
    path = write(place, regions)
    result = run(path, tmp_path / "m.csv")
    assert [pair.image.name for pair in result.pairs] == ["a.png"]
    assert any("1 image(s) left out, because they have no annotations" in line for line in result.remarks)
    result = run(path, tmp_path / "m.csv", empty=True, force=True)
    assert [int(labels_in(result, number).max()) for number in range(2)] == [1, 0]


def test_a_csv_that_lost_its_quotes_is_refused(place, tmp_path):
    path = as_csv(place, REGIONS)
    path.write_text(path.read_text().replace('"', ""))
    with pytest.raises(ImageError, match=r"via\.csv:2: found \d+ cell\(s\) beyond the last column.*in quotes\. Export"):
        run(path, tmp_path / "m.csv")


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_two_images_of_one_name_are_kept_apart(place, tmp_path, kind):
    """They come from two folders, and VIA tells them apart by their sizes in bytes."""
    write_image(place.parent / "b.png")
    images = [("a.png", 1000, STAR), ("a.png", 2000, LARGE), ("b.png", 1000, STAR)]
    if kind == "json":
        items = {f"{name}{size}": {"filename": name, "size": size, "regions": [polygon(ring, kind="star")]}
                 for name, size, ring in images}  # fmt: skip
        path = write_json(place.with_suffix(".json"), items)
    else:
        path = place.with_suffix(".csv")
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["filename", "file_size", "region_shape_attributes", "region_attributes"])
            for name, size, ring in images:
                one = polygon(ring, kind="star")
                writer.writerow([name, size, json.dumps(one["shape_attributes"]), json.dumps(one["region_attributes"])])
    result = run(path, tmp_path / "m.csv")
    assert [pair.image.name for pair in result.pairs] == ["b.png"]
    (clash,) = [line for line in result.remarks if "it is unclear which annotations belong to them" in line]
    assert "a.png: annotated 2 times: " in clash
    assert f"{path}: a.png1000; {path}: a.png2000" in clash


def test_which_attribute_is_the_class(place, tmp_path):
    one = [polygon(STAR, quality="good", Type="polyp"), polygon(LARGE, quality="bad", Type={"tool": True, "x": False})]
    assert list(run(as_export(place, one), tmp_path / "m.csv").classes) == ["polyp", "tool"]
    assert list(run(as_export(place, one), tmp_path / "n.csv", attribute="quality").classes) == ["bad", "good"]
    with pytest.raises(ImageError, match="--attribute kind: no region has it; there are quality, Type"):
        run(as_export(place, one), tmp_path / "o.csv", attribute="kind")
    with pytest.raises(ImageError, match=r"several attributes \(p, q\). Say which .* such as --attribute p"):
        run(as_export(place, [polygon(STAR, p="1", q="2")]), tmp_path / "o.csv")


@pytest.mark.parametrize("write", [as_project, as_csv])
@pytest.mark.parametrize(
    "broken",
    [region("polygon", {"kind": "star"}, all_points_x=[1, 2, 3], all_points_y=[1, 2]), region("circle", {}, cx=3),
     {"shape_attributes": None, "region_attributes": {}}, region("polygon", {}, all_points_x=[1], all_points_y=[2]),
     {"shape_attributes": "x", "region_attributes": 5}],
)  # fmt: skip
def test_a_broken_region_is_named_and_the_others_are_kept(place, tmp_path, write, broken):
    result = run(write(place, [broken, polygon(STAR, kind="star")]), tmp_path / "m.csv")
    assert any("a.png, region 0: " in line for line in result.remarks), result.remarks
    assert iou(labels_in(result) > 0, drawn(STAR)) >= 0.99


def test_a_project_of_via_3_is_refused(place, tmp_path):
    path = write_json(
        place.with_suffix(".json"), {key: {} for key in ("project", "config", "attribute", "file", "metadata")}
    )
    with pytest.raises(ImageError, match="a project of VIA 3"):
        run(path, tmp_path / "m.csv")


@pytest.mark.parametrize("value", [[], None, 3, "x"], ids=str)
def test_a_project_without_a_mapping_of_images_is_no_project(tmp_path, value):
    path = write_json(tmp_path / "via.json", {"_via_img_metadata": value})
    with pytest.raises(PromiseError, match=r"via\.json"):
        run(path, tmp_path / "m.csv")


@pytest.mark.parametrize("name", ["notes.csv", "notes.json"])
def test_files_with_line_ends_of_old_macs_among_annotations_are_no_annotations(tmp_path, name):
    write_image(tmp_path / "a.png")
    write_json(tmp_path / "via.json", {"a.png1": {"filename": "a.png", "regions": REGIONS[:1]}})
    (tmp_path / name).write_bytes(b"image,seen by\ra.png,ada\r")
    assert len(run(tmp_path, tmp_path / "m.csv").pairs) == 1
