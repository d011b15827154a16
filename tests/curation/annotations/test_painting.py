"""Sizes and orientations of images, classes, and shapes that overlap."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.readers import read_image
from tests.curation.annotations.helpers import (
    HEIGHT,
    HOLE,
    LARGE,
    LOWER,
    STAR,
    WIDTH,
    accepted,
    drawn,
    iou,
    labels_in,
    run,
    write_image,
    write_json,
    write_labelme,
)


def test_another_size_is_refused_and_scaled_only_if_that_is_wished(folder, tmp_path):
    write_image(folder / "b.png")
    double = [(2 * x, 2 * y) for x, y in STAR]
    write_labelme(folder / "a.json", ("polyp", double), size=(2 * WIDTH, 2 * HEIGHT))
    write_labelme(folder / "b.json", ("polyp", STAR), size=(WIDTH, HEIGHT + 30))
    with pytest.raises(
        ManifestError, match=r"was annotated at 440 x 320 pixels.*copy of the image at another size, pass --sc"
    ):
        run(folder, tmp_path / "m.csv")
    result = run(folder, tmp_path / "m.csv", scale=True)
    assert [pair.image.name for pair in result.pairs] == ["a.png"]
    assert iou(labels_in(result) > 0, drawn(STAR)) >= 0.99
    text = "\n".join(result.remarks)
    assert "1 image(s) with another size than when they were annotated; the shapes were scaled" in text
    assert "was annotated at 220 x 190 pixels" in text


def test_run_lengths_are_scaled_too(folder, tmp_path):
    mask = np.kron(drawn(LARGE, HOLE), np.ones((2, 2), bool))
    counts = [
        int(count) for count in np.diff(np.flatnonzero(np.diff(mask.ravel(order="F").astype(int), prepend=2, append=2)))
    ]
    coco = {"images": [{"id": 1, "file_name": "a.png", "width": 440, "height": 320}],
            "categories": [{"id": 1, "name": "x"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1,
                             "segmentation": {"size": [320, 440], "counts": counts}}]}  # fmt: skip
    result = run(write_json(folder / "c.json", coco), tmp_path / "m.csv", scale=True)
    assert iou(labels_in(result) > 0, drawn(LARGE, HOLE)) >= 0.99


def turned_picture(path, orientation):
    """A picture with a bright star, upright as EXIF says; and the size at which it is stored."""
    upright = Image.fromarray(np.where(drawn(STAR), 255, 0).astype(np.uint8)).convert("RGB")
    undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}[orientation]  # fmt: skip
    stored = upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, exif=exif)
    return stored.size, np.asarray(stored)[..., 0] > 0


@pytest.mark.parametrize("orientation", range(2, 9))
def test_shapes_on_a_picture_that_exif_turns(tmp_path, orientation):
    (tmp_path / "data").mkdir()
    stored, _ = turned_picture(tmp_path / "data/a.png", orientation)
    write_labelme(tmp_path / "data/a.json", ("star", STAR))
    result = run(tmp_path / "data", tmp_path / "m.csv")
    bright = read_image(tmp_path / "data/a.png")[..., 0] > 0
    assert iou(labels_in(result) > 0, bright) >= 0.99
    is_certain = stored != (WIDTH, HEIGHT)
    assert any("assumed to be annotated as they are displayed" in line for line in result.remarks) != is_certain


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_shapes_on_a_picture_as_it_is_stored(tmp_path, orientation):
    (tmp_path / "data").mkdir()
    size, _ = turned_picture(tmp_path / "data/a.png", orientation)
    x, y = np.array(STAR).T
    ring = {5: (y, x), 6: (y, WIDTH - x), 7: (HEIGHT - y, WIDTH - x), 8: (HEIGHT - y, x)}[orientation]
    write_labelme(tmp_path / "data/a.json", ("star", np.stack(ring, 1).tolist()), size=size)
    result = run(tmp_path / "data", tmp_path / "m.csv")
    assert iou(labels_in(result) > 0, read_image(tmp_path / "data/a.png")[..., 0] > 0) >= 0.99
    assert any("annotated without their EXIF orientation" in line for line in result.remarks)


def test_a_shape_over_the_border_is_cut_with_a_note(folder, tmp_path):
    ring = [(-30, 100), (60, 90), (80, 190), (-20, 170)]
    write_labelme(folder / "a.json", ("polyp", ring))
    result = run(folder, tmp_path / "m.csv")
    assert iou(labels_in(result) > 0, drawn(ring)) >= 0.99
    assert "1 shape(s) extend beyond the image and were clipped" in result.remarks


def test_a_volume_has_no_outlines_of_a_picture(folder, tmp_path):
    pages = [Image.new("L", (WIDTH, HEIGHT)) for _ in range(3)]
    pages[0].save(folder / "b.tif", save_all=True, append_images=pages[1:])
    write_labelme(folder / "b.json", ("polyp", STAR), image="b.tif")
    with pytest.raises(ManifestError, match="has 3 slices, but"):
        run(folder, tmp_path / "m.csv")


def test_spellings_of_one_class(folder, tmp_path):
    write_labelme(folder / "a.json", ("Polyp", STAR), ("polyp ", LARGE), ("polyp", LOWER))
    result = run(folder, tmp_path / "m.csv")
    assert list(result.classes) == ["polyp"]
    assert "Polyp and polyp were taken as one class" in result.remarks


def test_wanted_classes(folder, tmp_path):
    write_image(folder / "b.png")
    write_labelme(folder / "a.json", ("polyp", STAR), ("tool", LARGE), ("tool", LOWER))
    write_labelme(folder / "b.json", ("polyp", STAR))
    result = run(folder, tmp_path / "m.csv", only=["TOOL"])
    assert result.classes == {"tool": 1}
    assert [int(labels_in(result, number).max()) for number in range(2)] == [1, 0]
    assert "2 shape(s) left out, because their classes are not in --only" in result.remarks
    assert run(folder, tmp_path / "n.csv", only=["tool", "polyp"]).classes == {"tool": 1, "polyp": 2}
    with pytest.raises(SettingsError, match="--only cat: there is no such class; there are polyp, tool"):
        run(folder, tmp_path / "o.csv", only=["cat"])


def test_which_shape_is_on_top(folder, tmp_path):
    write_labelme(folder / "a.json", ("lesion", HOLE), ("organ", LARGE))
    result = run(folder, tmp_path / "m.csv")
    assert iou(labels_in(result) == 2, drawn(LARGE)) >= 0.99
    assert any("in which classes overlap (1 classes are completely covered)" in line for line in result.remarks)
    result = run(folder, tmp_path / "n.csv", on_top="smaller")
    assert iou(labels_in(result) == 1, drawn(HOLE)) >= 0.99
    assert iou(labels_in(result) == 2, drawn(LARGE, HOLE)) >= 0.99
    result = run(folder, tmp_path / "o.csv", masks="per-class")
    assert iou(accepted(result.manifests[1])[0].mask(), drawn(LARGE)) >= 0.99
    assert not any("overlap" in line for line in result.remarks)


def test_names_of_classes_that_no_file_may_have(folder, tmp_path):
    write_labelme(folder / "a.json", ("a/b: c", STAR), ("a:b/c", LARGE), ("../x", LOWER), ("?", HOLE))
    result = run(folder, tmp_path / "m.csv", masks="per-class")
    assert sorted(path.name for path in result.manifests) == ["m_a_b_c.csv", "m_a_b_c_2.csv", "m_class.csv", "m_x.csv"]
    assert all(len(accepted(path)) == 1 for path in result.manifests)


def test_a_shape_smaller_than_a_pixel_is_counted(folder, tmp_path):
    write_labelme(folder / "a.json", ("polyp", STAR), ("polyp", [(150.1, 20.1), (150.3, 20.1), (150.2, 20.3)]))
    assert any(line.startswith("1 shape(s) missing from the masks") for line in run(folder, tmp_path / "m.csv").remarks)
