"""What holds for annotations of all formats: names, sizes, orientations, overlaps, and that nothing is half written."""

import json

import numpy as np
import pytest
from PIL import Image

import promise_seg
from promise_seg.curation.annotations.recognising import JSON_FORMATS
from promise_seg.errors import ImageError, ManifestError, PromiseError, SettingsError
from promise_seg.images.readers import read_image
from promise_seg.vocabulary import Split
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
)


def labelme(path, *shapes, size=(WIDTH, HEIGHT), image=None):
    """A file of LabelMe with polygons (label, ring)."""
    return write_json(
        path,
        {"shapes": [{"label": label, "points": ring, "shape_type": "polygon"} for label, ring in shapes],
         "imagePath": image or f"{path.stem}.png", "imageWidth": size[0], "imageHeight": size[1]},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    write_image(tmp_path / "data/a.png")
    return tmp_path / "data"


def test_python_users_import_too(folder, tmp_path):
    write_image(folder / "b.png")
    labelme(folder / "a.json", ("polyp", STAR))
    labelme(folder / "b.json", ("polyp", STAR))
    imported = promise_seg.import_annotations(folder, tmp_path / "m.csv")
    assert imported.classes == {"polyp": 1}
    assert json.loads((imported.folder / "classes.json").read_text()) == {"polyp": 1}
    data = promise_seg.Dataset.from_csv(tmp_path / "m.csv")
    assert iou(data.train[0].mask(), drawn(STAR)) >= 0.99


# sizes and orientations


def test_another_size_is_refused_and_scaled_only_if_that_is_wished(folder, tmp_path):
    write_image(folder / "b.png")
    double = [(2 * x, 2 * y) for x, y in STAR]
    labelme(folder / "a.json", ("polyp", double), size=(2 * WIDTH, 2 * HEIGHT))
    labelme(folder / "b.json", ("polyp", STAR), size=(WIDTH, HEIGHT + 30))
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
    labelme(tmp_path / "data/a.json", ("star", STAR))
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
    labelme(tmp_path / "data/a.json", ("star", np.stack(ring, 1).tolist()), size=size)
    result = run(tmp_path / "data", tmp_path / "m.csv")
    assert iou(labels_in(result) > 0, read_image(tmp_path / "data/a.png")[..., 0] > 0) >= 0.99
    assert any("annotated without their EXIF orientation" in line for line in result.remarks)


def test_a_shape_over_the_border_is_cut_with_a_note(folder, tmp_path):
    ring = [(-30, 100), (60, 90), (80, 190), (-20, 170)]
    labelme(folder / "a.json", ("polyp", ring))
    result = run(folder, tmp_path / "m.csv")
    assert iou(labels_in(result) > 0, drawn(ring)) >= 0.99
    assert "1 shape(s) extend beyond the image and were clipped" in result.remarks


def test_a_volume_has_no_outlines_of_a_picture(folder, tmp_path):
    pages = [Image.new("L", (WIDTH, HEIGHT)) for _ in range(3)]
    pages[0].save(folder / "b.tif", save_all=True, append_images=pages[1:])
    labelme(folder / "b.json", ("polyp", STAR), image="b.tif")
    with pytest.raises(ManifestError, match="has 3 slices, but"):
        run(folder, tmp_path / "m.csv")


# classes and overlaps


def test_spellings_of_one_class(folder, tmp_path):
    labelme(folder / "a.json", ("Polyp", STAR), ("polyp ", LARGE), ("polyp", LOWER))
    result = run(folder, tmp_path / "m.csv")
    assert list(result.classes) == ["polyp"]
    assert "Polyp and polyp were taken as one class" in result.remarks


def test_wanted_classes(folder, tmp_path):
    write_image(folder / "b.png")
    labelme(folder / "a.json", ("polyp", STAR), ("tool", LARGE), ("tool", LOWER))
    labelme(folder / "b.json", ("polyp", STAR))
    result = run(folder, tmp_path / "m.csv", only=["TOOL"])
    assert result.classes == {"tool": 1}
    assert [int(labels_in(result, number).max()) for number in range(2)] == [1, 0]
    assert "2 shape(s) left out, because their classes are not in --only" in result.remarks
    assert run(folder, tmp_path / "n.csv", only=["tool", "polyp"]).classes == {"tool": 1, "polyp": 2}
    with pytest.raises(SettingsError, match="--only cat: there is no such class; there are polyp, tool"):
        run(folder, tmp_path / "o.csv", only=["cat"])


def test_which_shape_is_on_top(folder, tmp_path):
    labelme(folder / "a.json", ("lesion", HOLE), ("organ", LARGE))
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
    labelme(folder / "a.json", ("a/b: c", STAR), ("a:b/c", LARGE), ("../x", LOWER), ("?", HOLE))
    result = run(folder, tmp_path / "m.csv", masks="per-class")
    assert sorted(path.name for path in result.manifests) == ["m_a_b_c.csv", "m_a_b_c_2.csv", "m_class.csv", "m_x.csv"]
    assert all(len(accepted(path)) == 1 for path in result.manifests)


def test_a_shape_smaller_than_a_pixel_is_counted(folder, tmp_path):
    labelme(folder / "a.json", ("polyp", STAR), ("polyp", [(150.1, 20.1), (150.3, 20.1), (150.2, 20.3)]))
    assert any(line.startswith("1 shape(s) missing from the masks") for line in run(folder, tmp_path / "m.csv").remarks)


# images and their names


def test_names_in_several_folders_are_told_apart_by_their_paths(tmp_path):
    for name in ("p1/x.png", "p2/x.png", "p3/X.PNG"):
        write_image(tmp_path / "images" / name)
    labelme(tmp_path / "json/one.json", ("polyp", STAR), image="C:\\scans\\p2\\x.png")
    labelme(tmp_path / "json/two.json", ("polyp", STAR), image="x.png")
    result = run(tmp_path / "json", tmp_path / "m.csv", images=tmp_path / "images")
    assert [pair.image.parent.name for pair in result.pairs] == ["p2"]
    assert any("x.png may be any of 2 images: p1/x.png, p2/x.png" in line for line in result.remarks)


def test_masks_of_the_same_names_are_not_taken_as_images(tmp_path):
    for name in ("images/a", "images/b", "masks/a", "masks/b", "m_merged_masks/a"):
        write_image(tmp_path / f"data/{name}.png")
    labelme(tmp_path / "data/json/a.json", ("polyp", STAR))
    result = run(tmp_path / "data", tmp_path / "m.csv", empty=True)
    assert [pair.image.parent.name + "/" + pair.image.name for pair in result.pairs] == ["images/a.png", "images/b.png"]
    labelme(tmp_path / "labels/c.json", ("polyp", STAR))
    write_image(tmp_path / "labels/c.png")
    assert len(run(tmp_path / "labels", tmp_path / "n.csv").pairs) == 1


def test_two_files_about_one_image(folder, tmp_path):
    write_image(folder / "b.png")
    labelme(folder / "a.json", ("polyp", STAR))
    labelme(folder / "again.json", ("polyp", LARGE), image="a.png")
    labelme(folder / "b.json", ("polyp", STAR))
    result = run(folder, tmp_path / "m.csv")
    assert [pair.image.name for pair in result.pairs] == ["b.png"]
    assert any("a.png: annotated 2 times: " in line for line in result.remarks)


def test_missing_images_and_images_without_annotations(folder, tmp_path):
    for name in ("b", "c"):
        write_image(folder / f"{name}.png")
    labelme(folder / "a.json", ("polyp", STAR))
    labelme(folder / "b.json")
    for name in "xyz":
        labelme(folder / f"{name}.json", ("polyp", STAR))
    result = run(folder, tmp_path / "m.csv")
    text = "\n".join(result.remarks)
    assert "3 image(s) of the annotations not found: x.png, y.png, z.png" in text
    assert "2 image(s) left out, because they have no annotations" in text
    assert "pass --empty" in text
    result = run(folder, tmp_path / "n.csv", empty=True)
    assert [pair.image.name for pair in result.pairs] == ["a.png", "b.png"]  # c may be x, y or z
    assert any("They may be the missing images under another name" in line for line in result.remarks)
    for name in "xyz":
        (folder / f"{name}.json").unlink()
    result = run(folder, tmp_path / "o.csv", empty=True)
    assert [pair.image.name for pair in result.pairs] == ["a.png", "b.png", "c.png"]
    assert [row.mask().any() for row in accepted(tmp_path / "o.csv")] == [True, False, False]


def test_an_image_whose_annotations_are_broken_or_uncertain_is_never_empty(folder, tmp_path):
    for name in ("b", "c", "one/d", "two/d"):
        write_image(folder / f"{name}.png")
    labelme(folder / "a.json", ("polyp", STAR))
    (folder / "b.json").write_text("{")
    labelme(folder / "c.json", ("polyp", [(1, 2)]))
    labelme(folder / "d.json", ("polyp", STAR))
    result = run(folder, tmp_path / "m.csv", empty=True)
    assert [pair.image.name for pair in result.pairs] == ["a.png"]
    text = "\n".join(result.remarks)
    assert "2 image(s) left out, because none of their shapes can be drawn" in text
    assert "d.png may be any of 2 images: one/d.png, two/d.png" in text


def test_stems_and_images_of_one_name_have_masks_of_their_own(folder, tmp_path):
    write_image(folder / "a.jpg")
    labelme(folder / "a.json", ("polyp", STAR))
    labelme(folder / "a2.json", ("polyp", LARGE), image="a.jpg")
    result = run(folder, tmp_path / "m.csv")
    assert len({pair.mask for pair in result.pairs}) == 2
    assert len(accepted(tmp_path / "m.csv")) == 2


def test_splits_and_groups(tmp_path):
    for name in ("train/p1_1", "train/p1_2", "val/p2_1"):
        write_image(tmp_path / f"data/{name}.png")
        labelme(tmp_path / f"data/{name}.json", ("polyp", STAR))
    result = run(tmp_path / "data", tmp_path / "m.csv", group=r"^(p\d)")
    assert [(pair.split, pair.group) for pair in result.pairs] == [
        (Split.TRAIN, "p1"), (Split.TRAIN, "p1"), (Split.VAL, "p2")
    ]  # fmt: skip
    for kwargs in ({"group": "("}, {"group": "x"}, {"group": "(zzz)"}):
        with pytest.raises(PromiseError, match="--group"):
            run(tmp_path / "data", tmp_path / "n.csv", **kwargs)
    assert not (tmp_path / "n_imported_masks").exists()


# files that are there already


def test_nothing_is_overwritten_without_being_asked(folder, tmp_path):
    labelme(folder / "a.json", ("polyp", STAR))
    run(folder, tmp_path / "m.csv")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(PromiseError, match=r"already exists\. Pass --force"):
        run(folder, tmp_path / "m.csv")
    labelme(folder / "a.json", ("polyp", [(0, 0)]))
    with pytest.raises(PromiseError, match="no masks could be made"):
        run(folder, tmp_path / "m.csv", force=True)
    labelme(folder / "a.json", ("polyp", STAR))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    run(folder, tmp_path / "m.csv", force=True)
    (tmp_path / "m.csv").unlink()
    run(folder, tmp_path / "m.csv")  # as after an interruption between the masks and the manifest
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_of_somebody_else_is_never_replaced(folder, tmp_path):
    labelme(folder / "a.json", ("polyp", STAR))
    (tmp_path / "m_imported_masks").mkdir()
    (tmp_path / "m_imported_masks/mine.png").touch()
    with pytest.raises(PromiseError, match="is not a folder of masks of promise data import"):
        run(folder, tmp_path / "m.csv", force=True)
    assert (tmp_path / "m_imported_masks/mine.png").exists()


def test_masks_beside_the_images_are_no_images_the_next_time(folder):
    labelme(folder / "a.json", ("polyp", STAR))
    for _ in range(2):
        result = run(folder, folder / "m.csv", force=True, empty=True)
        assert [pair.image.name for pair in result.pairs] == ["a.png"]


# what cannot be read


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", r"x.json:1: not valid JSON"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"{}", "holds an empty object, which is not a known format"),
        (b'{"a": 1, "b": 2}', "holds an object with the keys a, b, which is not a known format.*expected COCO"),
        (b'[{"x": 1}]', "holds a list of 1, first an object with the keys x"),
        (b"[]", "holds an empty list"),
        (b"5", "holds a single value"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number is too long"),
    ],
)
def test_json_that_is_no_annotation(tmp_path, content, words):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ImageError, match=words):
        run(tmp_path / "x.json", tmp_path / "m.csv")


@pytest.mark.parametrize("kind", list(JSON_FORMATS))
@pytest.mark.parametrize(
    "value",
    [{"images": [5, None], "annotations": [5], "categories": "x"}, {"images": [], "annotations": None},
     {"shapes": [5, None, {"points": 5}], "imagePath": 3}, {"type": "FeatureCollection", "features": 5},
     [{"data": 5, "annotations": [5]}, 5], [{"data": {}, "annotations": 7}], {"_via_img_metadata": {"a": 5}},
     {"a": {"filename": None, "regions": [5]}}, [{"type": "Feature", "geometry": 5}]],
)  # fmt: skip
def test_json_of_odd_content_never_ends_in_a_traceback(tmp_path, kind, value):
    write_image(tmp_path / "a.png")
    write_json(tmp_path / "x.json", value)
    with pytest.raises(PromiseError):
        run(tmp_path / "x.json", tmp_path / "m.csv", kind=kind)
    with pytest.raises(PromiseError):
        run(tmp_path / "x.json", tmp_path / "m.csv")


def test_a_file_that_is_too_large(folder, tmp_path, monkeypatch):
    labelme(folder / "a.json", ("polyp", STAR))
    monkeypatch.setenv("PROMISE_SEG_MAX_VALUES", "20")
    with pytest.raises(ImageError, match="too large"):
        run(folder / "a.json", tmp_path / "m.csv")


def test_other_files_in_a_folder_of_annotations(folder, tmp_path):
    labelme(folder / "a.json", ("polyp", STAR))
    write_json(folder / "settings.json", {"a": 1})
    (folder / "table.csv").write_text("a,b\n1,2\n")
    result = run(folder, tmp_path / "m.csv")
    assert any(line.startswith("1 file(s) left out, which cannot be read as annotations") for line in result.remarks)


def test_places_that_are_not_there(tmp_path):
    (tmp_path / "empty").mkdir()
    for place, options, words in (
        ("nowhere", {}, "no such file or folder"), ("empty", {}, "no annotations there"),
        ("empty", {"images": "nowhere"}, "--images nowhere: no such folder"),
        ("empty", {"masks": "all"}, "expected classes"), ("empty", {"kind": "word"}, "--format word: expected coco"),
        ("empty", {"on_top": "x"}, "expected later, smaller"),
    ):  # fmt: skip
        with pytest.raises(PromiseError, match=words):
            run(tmp_path / place, tmp_path / "m.csv", **options)


def test_a_damaged_image_is_left_out(folder, tmp_path):
    labelme(folder / "a.json", ("polyp", STAR))
    labelme(folder / "b.json", ("polyp", STAR))
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:900])
    result = run(folder, tmp_path / "m.csv")
    assert [pair.image.name for pair in result.pairs] == ["a.png"]
    assert any("because their masks cannot be drawn" in line and "b.png" in line for line in result.remarks)
