"""CVAT's XML for images, against drawings of scikit-image and equations."""

import numpy as np
import pytest

from promise_seg.errors import ImageError
from promise_seg.vocabulary import Split
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
)


def points(ring):
    return ";".join(f"{x},{y}" for x, y in ring)


def mask_element(label, mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = rows[0], columns[0]
    cut = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    counts, value = [0], False
    for pixel in cut.ravel():
        if bool(pixel) != value:
            counts.append(0)
            value = not value
        counts[-1] += 1
    return (
        f'<mask label="{label}" rle="{", ".join(map(str, counts))}" left="{left}" top="{top}" '
        f'width="{cut.shape[1]}" height="{cut.shape[0]}" z_order="0"></mask>'
    )


def write(folder, *elements, head="", attributes='name="a.png"'):
    labels = "".join(f"<label><name>{name}</name><color>#ff0000</color></label>" for name in ("tool", "polyp"))
    folder.mkdir(exist_ok=True)
    (folder / "annotations.xml").write_text(
        f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version><meta><job><labels>{labels}'
        f'</labels></job></meta><image id="0" {attributes} width="{WIDTH}" height="{HEIGHT}">{"".join(elements)}'
        "</image></annotations>",
        encoding="utf-8",
    )  # fmt: skip
    return folder / "annotations.xml"


def test_every_shape(folder, tmp_path):
    path = write(
        folder, f'<polygon label="polyp" points="{points(STAR)}" z_order="0"/>',
        '<box label="tool" xtl="10.3" ytl="112" xbr="70" ybr="150.2" z_order="0"/>',
        '<ellipse label="polyp" cx="165" cy="75" rx="40" ry="20" rotation="30" z_order="0"/>',
        '<polyline label="polyp" points="1,2;3,4"/>', '<points label="polyp" points="1,2"/>', '<tag label="polyp"/>',
    )  # fmt: skip
    result = run(path, tmp_path / "m.csv")
    found = labels_in(result)
    assert result.classes == {"tool": 1, "polyp": 2}
    assert iou(found == 1, drawn([(10.3, 112), (70, 112), (70, 150.2), (10.3, 150.2)])) >= 0.99
    assert iou(found == 2, drawn(STAR) | drawn_ellipse(165, 75, 40, 20, 30)) >= 0.99
    assert "2 shape(s) left out, because they have no area: polyline 1, points 1" in result.remarks


def test_masks_with_a_hole_and_two_parts_are_exact(folder, tmp_path):
    mask = drawn(LARGE, HOLE) | drawn(LOWER)
    assert np.array_equal(labels_in(run(write(folder, mask_element("tool", mask)), tmp_path / "m.csv")) > 0, mask)


def test_a_turned_box(folder, tmp_path):
    path = write(folder, '<box label="tool" xtl="60" ytl="50" xbr="160" ybr="90" rotation="25.0"/>')
    angle, middle = np.deg2rad(25), np.array([110, 70])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = [middle + turn @ (np.array(corner) - middle) for corner in ((60, 50), (160, 50), (160, 90), (60, 90))]
    assert iou(labels_in(run(path, tmp_path / "m.csv")) > 0, drawn(corners)) >= 0.99


def test_what_is_higher_is_on_top_and_groups_are_objects(folder, tmp_path):
    path = write(
        folder, f'<polygon label="polyp" points="{points(HOLE)}" z_order="3" group_id="4"/>',
        f'<polygon label="polyp" points="{points(LARGE)}" z_order="1"/>',
        f'<polygon label="polyp" points="{points(LOWER)}" z_order="0" group_id="4"/>',
    )  # fmt: skip
    found = labels_in(run(path, tmp_path / "m.csv", masks="instances"))
    assert iou(found == 1, drawn(HOLE) | drawn(LOWER)) >= 0.99
    assert iou(found == 2, drawn(LARGE, HOLE)) >= 0.99


def test_names_with_folders_and_subsets(tmp_path):
    for name in ("one/a.png", "two/a.png"):
        write_image(tmp_path / "data" / name)
    shape = f'<polygon label="polyp" points="{points(STAR)}"/>'
    path = write(tmp_path / "data", shape, attributes='name="two/a.png" subset="Validation"')
    result = run(path, tmp_path / "m.csv", images=tmp_path / "data")
    assert [pair.image.parent.name for pair in result.pairs] == ["two"]
    assert result.pairs[0].split == Split.VAL


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotations><image", "not valid XML"),
        ("<annotations><track id='0'/></annotations>", "of a video"),
        ("<svg/>", "has no images"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations><image name="&b;"/></annotations>', "declares entities"),
    ],
)
def test_what_is_refused(folder, tmp_path, text, words):
    (folder / "x.xml").write_text(text)
    with pytest.raises(ImageError, match=words):
        run(folder / "x.xml", tmp_path / "m.csv")


@pytest.mark.parametrize(
    "element",
    ['<polygon label="polyp" points="1,2;3,4"/>', '<polygon label="polyp" points="1,2;x,4;5,6"/>',
     '<box label="polyp" xtl="1"/>', '<ellipse label="polyp" cx="nan" cy="1" rx="1" ry="1"/>',
     '<mask label="polyp" rle="1,2" left="0" top="0" width="5" height="5"/>',
     '<polygon label="polyp" points="1,2;nan,4;5,6"/>',
     '<mask label="polyp" rle="1000000000000" left="0" top="0" width="1000000" height="1000000"/>'],
)  # fmt: skip
def test_a_broken_shape_is_named_and_the_others_are_kept(folder, tmp_path, element):
    result = run(write(folder, element, f'<polygon label="polyp" points="{points(STAR)}"/>'), tmp_path / "m.csv")
    assert any("a.png, shape 0: " in line or "shape(s) left out: " in line for line in result.remarks), result.remarks
    assert iou(labels_in(result) > 0, drawn(STAR)) >= 0.99
