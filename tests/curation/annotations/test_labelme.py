"""LabelMe's JSON, against drawings of scikit-image and equations."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.curation.annotations.helpers import (
    HEIGHT,
    HOLE,
    LARGE,
    LOWER,
    STAR,
    WIDTH,
    accepted,
    drawn,
    drawn_ellipse,
    iou,
    labels_in,
    run,
    write_image,
    write_json,
)


def shape(label, points, kind="polygon", group=None, **more):
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind, "group_id": group,
            "flags": {}} | more  # fmt: skip


def png(mask):
    file = io.BytesIO()
    Image.fromarray(mask).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def write(folder, *shapes, name="a", image_path=None, **more):
    path = image_path or f"{name}.png"
    write_json(
        folder / f"{name}.json",
        {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": path, "imageData": None,
         "imageHeight": HEIGHT, "imageWidth": WIDTH} | more,
    )  # fmt: skip


def test_every_shape(folder, tmp_path):
    mask = drawn(HOLE)[48:110, 130:190]
    write(
        folder, shape("star", STAR), shape("box", [(70.5, 150), (10, 112)], "rectangle"),
        shape("disc", [(160, 75), (180, 90)], "circle"), shape("free", [(130, 48), (189, 109)], "mask", mask=png(mask)),
        shape("line", [(1, 2), (3, 4)], "line"), shape("spot", [(1, 2)], "point"),
    )  # fmt: skip
    result = run(folder, tmp_path / "m.csv", masks="per-class")
    assert [path.name for path in result.manifests] == ["m_box.csv", "m_disc.csv", "m_free.csv", "m_star.csv"]
    masks = {path.stem[2:]: accepted(path)[0].mask() for path in result.manifests}
    assert iou(masks["star"], drawn(STAR)) >= 0.99
    assert iou(masks["box"], drawn([(10, 112), (70.5, 112), (70.5, 150), (10, 150)])) >= 0.99
    assert iou(masks["disc"], drawn_ellipse(160, 75, 25, 25)) >= 0.99
    assert np.array_equal(masks["free"], drawn(HOLE))
    assert "2 shape(s) left out, because they have no area: line 1, point 1" in result.remarks


def test_a_mask_has_holes_and_parts(folder, tmp_path):
    mask = drawn(LARGE, HOLE) | drawn(LOWER)
    write(folder, shape("x", [(0, 0), (WIDTH - 1, HEIGHT - 1)], "mask", mask=png(mask)))
    assert np.array_equal(labels_in(run(folder, tmp_path / "m.csv")) > 0, mask)


def test_shapes_of_a_group_are_one_object(folder, tmp_path):
    write(folder, shape("cell", STAR, group=1), shape("cell", LOWER, group=1), shape("cell", LARGE),
          shape("cell", HOLE, group=2))  # fmt: skip
    result = run(folder, tmp_path / "m.csv", masks="instances", on_top="smaller")
    found = labels_in(result)
    assert iou(found == 1, drawn(STAR) | drawn(LOWER)) >= 0.99
    assert iou(found == 2, drawn(LARGE) & ~drawn(HOLE)) >= 0.99
    assert iou(found == 3, drawn(HOLE)) >= 0.99
    assert any("The smaller shape is on top" in line for line in result.remarks)


def test_shapes_without_a_label_and_labels_of_nothing(folder, tmp_path):
    write(folder, shape("", STAR), shape("_background_", LOWER), shape("polyp", LARGE))
    result = run(folder, tmp_path / "m.csv")
    assert iou(labels_in(result) > 0, drawn(LARGE)) >= 0.99
    assert "1 shape(s) left out, because they have no class" in result.remarks
    write(folder, shape("", STAR), shape(None, LOWER))
    result = run(folder, tmp_path / "m.csv", force=True)
    assert result.classes == {"object": 1}
    assert iou(labels_in(result) > 0, drawn(STAR) | drawn(LOWER)) >= 0.99


@pytest.mark.parametrize("spelt", ["..\\pictures\\a.png", "../pictures/a.png"])
def test_images_in_another_folder(tmp_path, spelt):
    before = write_image(tmp_path / "pictures/a.png").read_bytes()
    write(tmp_path / "json", shape("polyp", STAR), image_path=spelt)
    result = run(tmp_path / "json", tmp_path / "m.csv")
    assert (tmp_path / "pictures/a.png").read_bytes() == before  # once, the mask was written over it
    assert result.pairs[0].mask == tmp_path / "m_imported_masks/a.png"
    assert result.pairs[0].image.resolve() == (tmp_path / "pictures/a.png").resolve()
    assert len(accepted(tmp_path / "m.csv")) == 1


@pytest.mark.parametrize("mask", ["", "no base64!", base64.b64encode(b"no png").decode(), None])
def test_a_broken_mask(folder, tmp_path, mask):
    write(folder, shape("x", [(0, 0), (5, 5)], "mask", mask=mask), shape("x", STAR), shape("x", [(1, 2)], "circle"))
    result = run(folder, tmp_path / "m.csv")
    assert any(line.startswith("2 invalid shape(s)") for line in result.remarks)
    assert iou(labels_in(result) > 0, drawn(STAR)) >= 0.99
