"""``promise data import`` as a user calls it, and that the rest of the program reads what it writes."""

import json

import numpy as np
import pytest
from PIL import Image

from promise_seg.cli.main import main

POLYP = [[30, 20], [90, 12], [118, 70], [60, 58], [22, 101]]
TOOL = [[120, 20], [205, 28], [212, 140], [126, 131]]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Six pictures of three patients with files of LabelMe beside them, one picture without."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for number in range(7):
        pixels = rng.integers(0, 255, (160, 220, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"data/p{number // 2}_{number}.png")
        if number < 6:
            shapes = [
                {"label": "polyp", "points": [[x + number, y] for x, y in POLYP], "shape_type": "polygon"},
                {"label": "tool", "points": TOOL, "shape_type": "polygon"},
                {"label": "tool", "points": [[1, 2]], "shape_type": "point"},
            ]
            text = {"imagePath": f"p{number // 2}_{number}.png", "imageWidth": 220, "imageHeight": 160}
            (tmp_path / f"data/p{number // 2}_{number}.json").write_text(json.dumps(text | {"shapes": shapes}))
    return tmp_path


def run(*words):
    return main(["data", *(str(word) for word in words)])


def test_label_maps_that_check_split_and_show_accept(place, capsys):
    assert run("import", "data", "-o", "m.csv", "--group", r"^(p\d)") == 0
    said = capsys.readouterr()
    for line in (
        "images: 6, with masks in m_imported_masks\n",
        "classes, with the number of shapes in the annotations: 1 polyp (6), 2 tool (6)\n",
        "groups: 3, for example p0\n", "written: m.csv\n",
    ):  # fmt: skip
        assert line in said.out
    for line in (
        "warning: 1 image(s) left out, because they have no annotations: data/p3_6.png. If somebody",
        "warning: 6 shape(s) left out, because they have no area: point 6\n",
        "read this manifest with --class; the numbers are also in m_imported_masks/classes.json",
        "promise data split m.csv -o m_split.csv",
    ):
        assert line in said.err
    assert run("check", "m.csv", "--class", "1") < 2
    assert run("check", "m.csv", "--class", "2") < 2
    assert run("split", "m.csv", "-o", "s.csv", "--class", "1", "--val", "0.3", "--test", "0.3") == 0
    assert run("show", "s.csv", "-o", "sheet.png", "--class", "all") == 0


def test_instances(place, capsys):
    assert run("import", "data", "-o", "m.csv", "--instances", "--empty") == 0
    said = capsys.readouterr()
    assert "read this manifest with --instances. Its objects are of several classes" in said.err
    assert "images: 7" in said.out
    assert run("check", "m.csv", "--instances") < 2


def test_a_mask_for_each_class(place, capsys):
    assert run("import", "data", "-o", "m.csv", "--per-class", "--only", "tool, polyp") == 0
    assert "written: m_tool.csv\nwritten: m_polyp.csv\n" in capsys.readouterr().out
    assert sorted(path.name for path in (place / "m_imported_masks").iterdir()) == [
        "classes.json", "import.json", "polyp", "tool",
    ]  # fmt: skip
    assert run("check", "m_polyp.csv") < 2
    assert run("import", "data", "-o", "m.csv", "--per-class") == 2
    assert "m_polyp.csv: already exists. Pass --force" in capsys.readouterr().err
    assert run("import", "data", "-o", "m.csv", "--per-class", "--force") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "--classes", "--instances"], "--classes and --instances: give one of them"),
        (["nowhere"], "nowhere: no such file or folder"),
        (["data", "--format", "coca"], "did you mean coco?"),
        (["data", "--format", "cvat"], "no file there or below can be of --format cvat, but some can be of another"),
        (["data/p0_0.json", "--format", "coco"], "which is not coco; "),
        (["data", "--only", "cat"], "--only cat: there is no such class; there are polyp, tool"),
        (["data", "--images", "nowhere"], "--images nowhere: no such folder"),
    ],
)
def test_mistakes_are_one_line(place, capsys, words, message):
    assert run("import", *words, "-o", "m.csv") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("promise: error: ")
    assert message in error
    assert not (place / "m.csv").exists()
    assert not (place / "m_imported_masks").exists()


def test_a_bar_that_no_stage_needs_leaves_no_line(tmp_path, capsys):
    """An error before the first stage is all that stands on standard error."""
    assert main(["data", "import", str(tmp_path / "nothing.json"), "-o", str(tmp_path / "m.csv")]) == 2
    assert capsys.readouterr().err.startswith("promise: error: ")
