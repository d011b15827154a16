"""Annotations of all formats: the Python function, what is never overwritten, and what cannot be read."""

import json

import pytest

import promise_seg
from promise_seg.curation.annotations.recognising import JSON_FORMATS
from promise_seg.errors import ImageError, ManifestError, PromiseError
from tests.curation.annotations.helpers import (
    STAR,
    drawn,
    iou,
    run,
    write_image,
    write_json,
    write_labelme,
)


def test_python_users_import_too(folder, tmp_path):
    write_image(folder / "b.png")
    write_labelme(folder / "a.json", ("polyp", STAR))
    write_labelme(folder / "b.json", ("polyp", STAR))
    imported = promise_seg.import_annotations(folder, tmp_path / "m.csv")
    assert imported.classes == {"polyp": 1}
    assert json.loads((imported.folder / "classes.json").read_text()) == {"polyp": 1}
    data = promise_seg.Dataset.from_csv(tmp_path / "m.csv")
    assert iou(data.train[0].mask(), drawn(STAR)) >= 0.99


def test_nothing_is_overwritten_without_being_asked(folder, tmp_path):
    write_labelme(folder / "a.json", ("polyp", STAR))
    run(folder, tmp_path / "m.csv")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run(folder, tmp_path / "m.csv")  # the same again, as after an interruption, changes nothing
    write_labelme(folder / "a.json", ("polyp", STAR[:-1]))
    with pytest.raises(PromiseError, match=r"already exists\. Pass --force"):
        run(folder, tmp_path / "m.csv")  # the manifest would be the same, but its masks would not
    write_labelme(folder / "a.json", ("polyp", [(0, 0)]))
    with pytest.raises(PromiseError, match="no masks could be made"):
        run(folder, tmp_path / "m.csv", force=True)
    write_labelme(folder / "a.json", ("polyp", STAR))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    run(folder, tmp_path / "m.csv", force=True)
    (tmp_path / "m.csv").unlink()
    run(folder, tmp_path / "m.csv")  # as after an interruption between the masks and the manifest
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_of_somebody_else_is_never_replaced(folder, tmp_path):
    write_labelme(folder / "a.json", ("polyp", STAR))
    (tmp_path / "m_imported_masks").mkdir()
    (tmp_path / "m_imported_masks/mine.png").touch()
    with pytest.raises(PromiseError, match="is not a folder of masks of promise data import"):
        run(folder, tmp_path / "m.csv", force=True)
    assert (tmp_path / "m_imported_masks/mine.png").exists()


def test_masks_beside_the_images_are_no_images_the_next_time(folder):
    write_labelme(folder / "a.json", ("polyp", STAR))
    for _ in range(2):
        result = run(folder, folder / "m.csv", force=True, empty=True)
        assert [pair.image.name for pair in result.pairs] == ["a.png"]


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
        (b"[" * 900 + b"]" * 900, "holds a list of 1, first a list, which"),
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
    write_labelme(folder / "a.json", ("polyp", STAR))
    monkeypatch.setenv("PROMISE_SEG_MAX_VALUES", "20")
    with pytest.raises(ImageError, match="too large"):
        run(folder / "a.json", tmp_path / "m.csv")


def test_other_files_in_a_folder_of_annotations(folder, tmp_path):
    write_labelme(folder / "a.json", ("polyp", STAR))
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
    write_labelme(folder / "a.json", ("polyp", STAR))
    write_labelme(folder / "b.json", ("polyp", STAR))
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:900])
    result = run(folder, tmp_path / "m.csv")
    assert [pair.image.name for pair in result.pairs] == ["a.png"]
    assert any("because their masks cannot be drawn" in line and "b.png" in line for line in result.remarks)


def test_the_reason_why_annotated_images_have_no_mask_comes_first_on_a_line_of_its_own(folder, tmp_path):
    write_labelme(folder / "a.json", ("polyp", [(0, 0)]))
    write_image(folder / "unmentioned.png")
    with pytest.raises(ManifestError, match=r"no masks could be made for 1 annotated image\(s\):\n") as caught:
        run(folder, tmp_path / "m.csv")
    _, *reasons = str(caught.value).splitlines()
    assert "because they have no annotations" in reasons[-1]
    assert not any("because they have no annotations" in reason for reason in reasons[:-1])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", "Image_Name;train_type;mask_name\na.png;train;b.png\n", "x.csv: a manifest, which all commands read"),
        ("x.csv", "a,b\n1,2\n", "x.csv: not a known format of annotations; expected files of COCO, LabelMe"),
        ("x.txt", "", "x.txt: not a known format of annotations"),
        ("x.export", '\n [{"x": 1}]', "holds a list of 1, first an object with the keys x"),
    ],
)
def test_files_of_another_kind_are_named(folder, tmp_path, name, content, words):
    (folder / name).write_text(content)
    with pytest.raises(ImageError, match=words) as caught:
        run(folder / name, tmp_path / "m.csv")
    assert "valid JSON" not in str(caught.value)
