"""Masks in colour with a table, against the arrays that they were made of; VOC's colours against its published ones."""

import json

import numpy as np
import pytest
from PIL import Image

from promise_seg.curation.annotations.colour_tables import read_table, voc_colour
from promise_seg.errors import ImageError, ManifestError, SettingsError
from tests.curation.annotations.helpers import (
    HEIGHT,
    HOLE,
    LARGE,
    LOWER,
    STAR,
    WIDTH,
    accepted,
    drawn,
    labels_in,
    run,
    write_image,
)

RED, GREEN, VOID = (250, 50, 83), (0, 128, 0), (224, 224, 192)
WANTED = drawn(STAR) * 1 + drawn(LARGE, HOLE) * 2 + drawn(LOWER) * 2
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\npolyp:250,50,83::\ntool kit:0,128,0::\n"


def coloured(labels, colours):
    return np.array(colours, np.uint8)[labels]


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        write_image(tmp_path / f"data/JPEGImages/{name}.jpg")
    (tmp_path / "data/SegmentationClass").mkdir()
    return tmp_path / "data"


def save(folder, labels=WANTED, colours=((0, 0, 0), RED, GREEN), name="SegmentationClass/a.png"):
    Image.fromarray(coloured(labels, colours)).save(folder / name)


def test_the_export_of_cvat(folder, tmp_path):
    save(folder)
    (folder / "labelmap.txt").write_text(LABELMAP)
    result = run(folder, tmp_path / "m.csv")
    assert result.classes == {"polyp": 1, "tool kit": 2}
    assert np.array_equal(labels_in(result), WANTED)
    assert [pair.image.name for pair in result.pairs] == ["a.jpg"]
    (row,) = accepted(tmp_path / "m.csv", label=2)
    assert np.array_equal(row.mask(), WANTED == 2)


@pytest.mark.parametrize("void", [False, True])
def test_a_palette_of_voc_without_a_table(folder, tmp_path, void):
    labels = WANTED.astype(np.uint8)
    if void:
        labels[:3] = 255
    picture = Image.fromarray(labels)
    picture.putpalette([part for index in range(255) for part in voc_colour(index)] + list(VOID))
    picture.save(folder / "SegmentationClass/a.png")
    result = run(folder, tmp_path / "m.csv")
    assert result.classes == {"class 1": 1, "class 2": 2}
    expected = np.where(labels == 255, 0, labels)
    assert np.array_equal(labels_in(result), expected)
    assert any("numbered as in the palette of Pascal VOC" in line for line in result.remarks)
    (folder / "class_names.txt").write_text("__ignore__\n_background_\npolyp\ntool\n")
    assert run(folder, tmp_path / "n.csv").classes == {"polyp": 1, "tool": 2}


def test_colours_of_voc_are_the_published_ones():
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128),
             255: VOID}  # fmt: skip
    assert {index: voc_colour(index) for index in known} == known


def test_objects_are_told_apart_by_their_own_colours(folder, tmp_path):
    save(folder)
    (folder / "labelmap.txt").write_text(LABELMAP)
    with pytest.raises(ImageError, match="do not separate the objects of a class"):
        run(folder, tmp_path / "m.csv", masks="instances")
    (folder / "SegmentationObject").mkdir()
    objects = drawn(STAR) * 1 + drawn(LARGE, HOLE) * 2 + drawn(LOWER) * 3
    save(folder, objects, [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)], "SegmentationObject/a.png")
    found = labels_in(run(folder, tmp_path / "m.csv", masks="instances"))
    assert len(np.unique(found * 10 + objects)) == 4


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.txt", "polyp 250 50 83\ntool kit 0 128 0\n"),
        ("t.csv", "name,r,g,b\npolyp,250,50,83\ntool kit,0,128,0\n"),
        ("t.txt", "250 50 83 polyp\n0 128 0\ttool kit\n0 0 0 background\n"),
        ("t.txt", "polyp:250,50,83:1,2:3\ntool kit,0,128,0\n"),
        ("t.json", json.dumps({"polyp": [250, 50, 83], "tool kit": "#008000"})),
        ("t.json", json.dumps([{"name": "polyp", "color": "fa3253"}, {"name": "tool kit", "color": [0, 128, 0]}])),
    ],
)
def test_tables_of_many_kinds(folder, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    save(folder)
    result = run(folder, tmp_path / "m.csv", colours=tmp_path / name)
    assert result.classes == {"polyp": 1, "tool kit": 2}
    assert np.array_equal(labels_in(result), WANTED)


@pytest.mark.parametrize(
    ("text", "words"),
    [("polyp:255,0,0::\ntool:255,0,0::\n", "have the same colour"), ("polyp:256,0,0::\n", "from 0 to 255"),
     ("a\npolyp\n", "not a class with a colour"), ("\n", "has no colours"),
     ("name,r,g,b,id\npolyp,255,0,0,1\n", r"t\.txt:2: 'polyp,255,0,0,1' has other numbers besides .*Remove the other"),
     ("1,255,0,0,polyp\n", r"t\.txt:1: '1,255,0,0,polyp' has other numbers besides")],
)  # fmt: skip
def test_tables_that_cannot_be_read(tmp_path, text, words):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(ImageError, match=words):
        read_table(tmp_path / "t.txt")


def test_unknown_colours_and_other_faults(folder, tmp_path):
    (folder / "labelmap.txt").write_text(LABELMAP)
    save(folder)
    Image.fromarray(coloured(WANTED, [(0, 0, 0), (1, 2, 3), GREEN])).save(folder / "SegmentationClass/b.png")
    result = run(folder, tmp_path / "m.csv")
    text = "\n".join(result.remarks)
    assert (
        f"b.png: has {drawn(STAR).sum()} pixel(s) in 1 colour(s) that the table does not have, such as (1, 2, 3)"
        in text
    )
    assert [pair.image.name for pair in result.pairs] == ["a.jpg"]
    result = run(folder, tmp_path / "e.csv", empty=True)
    assert [pair.image.name for pair in result.pairs] == ["a.jpg"]
    Image.fromarray(coloured(WANTED[1:], [(0, 0, 0), RED, GREEN])).save(folder / "SegmentationClass/a.png")
    with pytest.raises(ManifestError, match=f"was annotated at {WIDTH} x {HEIGHT - 1} pixels"):
        run(folder, tmp_path / "n.csv")
    with pytest.raises(SettingsError, match=r"--colours nowhere\.txt: no such file"):
        run(folder, tmp_path / "n.csv", colours="nowhere.txt")


def test_masks_in_a_folder_of_their_own_and_an_empty_one(tmp_path):
    for name in "ab":
        write_image(tmp_path / f"pictures/{name}.jpg")
    (tmp_path / "masks").mkdir()
    save(tmp_path, name="masks/a.png")
    save(tmp_path, WANTED * 0, name="masks/b.png")
    (tmp_path / "masks/labelmap.txt").write_text(LABELMAP)
    result = run(tmp_path / "masks", tmp_path / "m.csv", images=tmp_path / "pictures")
    assert [int(labels_in(result, number).max()) for number in range(2)] == [2, 0]
