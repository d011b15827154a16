"""Label Studio's JSON, against drawings of scikit-image and equations; its brush against an encoder of its format."""

from itertools import pairwise

import numpy as np
import pytest

from promise_seg.curation.annotations.label_studio_brush import unpacked_brush
from promise_seg.curation.annotations.shapes import BrokenShapeError
from promise_seg.errors import ManifestError
from tests.curation.annotations.helpers import (
    HEIGHT,
    HOLE,
    LARGE,
    LOWER,
    STAR,
    WIDTH,
    drawn,
    drawn_ellipse,
    iou,
    labels_in,
    run,
    write_image,
    write_json,
)

SIZE = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}


def packed_brush(mask, *, runs=True):
    """The bytes of a brush: its length, the size of a word, four sizes of lengths; then runs or literals."""
    values = np.repeat(np.where(mask, 255, 0).astype(np.uint8).ravel(), 4)
    bits = f"{len(values):032b}" + f"{8 - 1:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    edges = [0, *(np.flatnonzero(np.diff(values.astype(int))) + 1), len(values)]
    for start, end in pairwise(edges):
        at = start
        while at < end:
            count = min(end - at, 2**16 if runs else 8)
            size, choice = (16, 3) if runs else (3, 0)
            words = [values[at]] if runs else values[at : at + count]
            bits += f"{int(runs)}{choice:02b}{count - 1:0{size}b}" + "".join(f"{int(word):08b}" for word in words)
            at += count
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def percent(ring):
    return [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in ring]


def region(kind, value, number, label=None, **more):
    return {"id": f"r{number}", "type": kind, "value": value | ({kind: [label]} if label else {}), "from_name": "l",
            "to_name": "i"} | SIZE | more  # fmt: skip


REGIONS = [
    region("polygonlabels", {"points": percent(STAR), "closed": True}, 1, "star"),
    region("rectanglelabels", {"x": 10 / 2.2, "y": 70, "width": 25, "height": 25, "rotation": 0}, 2, "box"),
    region("ellipselabels", {"x": 75, "y": 50, "radiusX": 15, "radiusY": 10, "rotation": 30}, 3, "egg"),
    region("keypointlabels", {"x": 1, "y": 2, "width": 0.5}, 4, "spot"),
    region("choices", {"choices": ["good"]}, 5),
]


def task(*regions, image="/data/upload/1/0a1b2c3d-a.png", number=1, **more):
    done = [{"id": 5, "was_cancelled": False, "result": list(regions)}]
    return {"id": number, "data": {"image": image}, "annotations": done, "predictions": []} | more


def as_full(regions):
    return [task(*regions)]


def as_min(regions):
    values = [one["value"] | SIZE for one in regions if one["type"] != "choices"]
    return [{"image": "/data/upload/1/0a1b2c3d-a.png", "id": 1, "label": values, "annotator": 1, "annotation_id": 2}]


@pytest.mark.parametrize("form", [as_full, as_min])
def test_every_shape(folder, tmp_path, form):
    result = run(write_json(folder / "x.json", form(REGIONS)), tmp_path / "m.csv")
    found = labels_in(result)
    assert result.classes == {"box": 1, "egg": 2, "star": 3}
    assert iou(found == 1, drawn([(10, 112), (65, 112), (65, 152), (10, 152)])) >= 0.99
    assert iou(found == 2, drawn_ellipse(165, 80, 33, 16, 30)) >= 0.99
    assert iou(found == 3, drawn(STAR)) >= 0.99
    assert any("shape(s) left out, because they have no area" in line for line in result.remarks)


@pytest.mark.parametrize("runs", [True, False])
def test_a_brush_with_a_hole_and_two_parts_is_exact(folder, tmp_path, runs):
    mask = drawn(LARGE, HOLE) | drawn(LOWER)
    brush = region("brushlabels", {"format": "rle", "rle": packed_brush(mask, runs=runs)}, 1, "polyp")
    assert np.array_equal(labels_in(run(write_json(folder / "x.json", [task(brush)]), tmp_path / "m.csv")) > 0, mask)


def test_a_rectangle_is_rotated_around_its_upper_left_corner_in_pixels(folder, tmp_path):
    value = {"x": 50, "y": 25, "width": 40, "height": 20, "rotation": 20}
    path = write_json(folder / "x.json", [task(region("rectanglelabels", value, 1, "box"))])
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = [np.array([110, 40]) + turn @ np.array(corner) for corner in ((0, 0), (88, 0), (88, 32), (0, 32))]
    assert iou(labels_in(run(path, tmp_path / "m.csv")) > 0, drawn(corners)) >= 0.99


def test_place_and_label_of_a_region_may_be_two_items(folder, tmp_path):
    place, label = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0}, {"labels": ["polyp"]}
    items = [
        region("rectangle", place, 1),
        region("labels", place | label, 1),
        region("polygon", {"points": percent(LARGE)}, 2),
    ]
    result = run(write_json(folder / "x.json", [task(*items)]), tmp_path / "m.csv")
    assert result.counts == {"polyp": 1}
    assert "1 shape(s) left out, because they have no class" in result.remarks


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("/data/upload/1/0a1b2c3d-my_scan_1.png", "my scan (1).png"),
        ("/data/local-files/?d=set/my%20scan.png", "my scan.png"),
        ("https://example.org/x/b.png?token=1.5", "b.png"),
        ("s3://bucket/folder/b.png", "b.png"),
        ("0a1b2c3d-b.jpg", "b.png"),
    ],
)
def test_names_as_the_program_changes_them(folder, tmp_path, image, name):
    write_image(folder / name)
    path = write_json(folder / "x.json", [task(REGIONS[0], image=image)])
    assert [pair.image.name for pair in run(path, tmp_path / "m.csv").pairs] == [name]


def test_the_image_among_several_texts(folder, tmp_path):
    one = task(REGIONS[0])
    one["data"] = {"volume": "scan.h5", "image": "/data/upload/1/0a1b2c3d-a.png", "note": "e.g. this"}
    assert len(run(write_json(folder / "x.json", [one]), tmp_path / "m.csv").pairs) == 1
    one = task(REGIONS[0], file_upload="0a1b2c3d-a.png") | {"data": {"image": "/image2"}}
    assert len(run(write_json(folder / "x.json", [one]), tmp_path / "n.csv").pairs) == 1


def test_tasks_that_are_not_done_or_done_twice(folder, tmp_path):
    for name in "bcde":
        write_image(folder / f"{name}.png")
    twice = task(REGIONS[0], image="b.png")
    twice["annotations"] *= 2
    cancelled = task(REGIONS[0], image="c.png")
    cancelled["annotations"][0]["was_cancelled"] = True
    tasks = [task(REGIONS[0]), twice, cancelled, task(image="d.png"), task(image="e.png", annotations=[])]
    result = run(write_json(folder / "x.json", tasks), tmp_path / "m.csv", empty=True)
    assert [pair.image.name for pair in result.pairs] == ["a.png", "d.png"]
    text = "\n".join(result.remarks)
    assert "b.png: annotated 2 times: " in text
    assert "2 image(s) left out, because they are not annotated yet" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_rotation": 90}, "was rotated in Label Studio"),
        ({"original_width": 10}, "unlike others of the same task"),
    ],
)
def test_regions_of_another_frame(folder, tmp_path, changes, words):
    path = write_json(folder / "x.json", [task(REGIONS[0], REGIONS[1] | changes)])
    result = run(path, tmp_path / "m.csv")
    assert any(words in line for line in result.remarks)
    assert iou(labels_in(result) > 0, drawn(STAR)) >= 0.99


@pytest.mark.parametrize("content", [[], [1, 2], "abc", [300] * 50, [0] * 60, packed_brush(drawn(STAR))[:-9]])
def test_a_damaged_brush(content):
    with pytest.raises(BrokenShapeError, match="has a brush"):
        unpacked_brush(content, (WIDTH, HEIGHT))


def test_a_brush_of_an_image_that_is_too_large():
    with pytest.raises(BrokenShapeError, match="which cannot be read"):
        unpacked_brush(packed_brush(drawn(STAR)), (2**15, 2**15))


def test_only_unlabelled_or_unfinished_tasks_is_an_error(folder, tmp_path):
    with pytest.raises(ManifestError, match="they are not annotated yet"):
        run(write_json(folder / "x.json", [task(annotations=[])]), tmp_path / "m.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
