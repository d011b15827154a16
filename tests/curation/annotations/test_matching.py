"""Images and annotations find each other by name, and nothing that lacks the other is left out in silence."""

import unicodedata

import pytest

from promise_seg.curation.annotations.image_files import ImageFiles
from promise_seg.curation.annotations.shapes import AnnotatedImage
from promise_seg.errors import PromiseError
from promise_seg.vocabulary import Split
from tests.curation.annotations.helpers import (
    LARGE,
    STAR,
    accepted,
    run,
    write_image,
    write_labelme,
)


def test_names_in_several_folders_are_told_apart_by_their_paths(tmp_path):
    for name in ("p1/x.png", "p2/x.png", "p3/X.PNG"):
        write_image(tmp_path / "images" / name)
    write_labelme(tmp_path / "json/one.json", ("polyp", STAR), image="C:\\scans\\p2\\x.png")
    write_labelme(tmp_path / "json/two.json", ("polyp", STAR), image="x.png")
    result = run(tmp_path / "json", tmp_path / "m.csv", images=tmp_path / "images")
    assert [pair.image.parent.name for pair in result.pairs] == ["p2"]
    assert any("x.png may be any of 2 images: p1/x.png, p2/x.png" in line for line in result.remarks)


def test_masks_of_the_same_names_are_not_taken_as_images(tmp_path):
    for name in ("images/a", "images/b", "masks/a", "masks/b", "m_merged_masks/a"):
        write_image(tmp_path / f"data/{name}.png")
    write_labelme(tmp_path / "data/json/a.json", ("polyp", STAR))
    result = run(tmp_path / "data", tmp_path / "m.csv", empty=True)
    assert [pair.image.parent.name + "/" + pair.image.name for pair in result.pairs] == ["images/a.png", "images/b.png"]
    write_labelme(tmp_path / "labels/c.json", ("polyp", STAR))
    write_image(tmp_path / "labels/c.png")
    assert len(run(tmp_path / "labels", tmp_path / "n.csv").pairs) == 1


def test_a_name_that_no_file_can_have(folder, tmp_path):
    write_labelme(folder / "a.json", ("polyp", STAR))
    write_labelme(folder / "b.json", ("polyp", STAR), image="x" * 5000 + "\0.png")
    (remark,) = run(folder, tmp_path / "m.csv").remarks
    assert remark.startswith("1 image(s) of the annotations not found: xxx")
    assert len(remark) < 500


def test_two_files_about_one_image(folder, tmp_path):
    write_image(folder / "b.png")
    write_labelme(folder / "a.json", ("polyp", STAR))
    write_labelme(folder / "again.json", ("polyp", LARGE), image="a.png")
    write_labelme(folder / "b.json", ("polyp", STAR))
    result = run(folder, tmp_path / "m.csv")
    assert [pair.image.name for pair in result.pairs] == ["b.png"]
    assert any("a.png: annotated 2 times: " in line for line in result.remarks)


def test_missing_images_and_images_without_annotations(folder, tmp_path):
    for name in ("b", "c"):
        write_image(folder / f"{name}.png")
    write_labelme(folder / "a.json", ("polyp", STAR))
    write_labelme(folder / "b.json")
    for name in "xyz":
        write_labelme(folder / f"{name}.json", ("polyp", STAR))
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
    write_labelme(folder / "a.json", ("polyp", STAR))
    (folder / "b.json").write_text("{")
    write_labelme(folder / "c.json", ("polyp", [(1, 2)]))
    write_labelme(folder / "d.json", ("polyp", STAR))
    result = run(folder, tmp_path / "m.csv", empty=True)
    assert [pair.image.name for pair in result.pairs] == ["a.png"]
    text = "\n".join(result.remarks)
    assert "2 image(s) left out, because none of their shapes can be drawn" in text
    assert "d.png may be any of 2 images: one/d.png, two/d.png" in text


def test_stems_and_images_of_one_name_have_masks_of_their_own(folder, tmp_path):
    write_image(folder / "a.jpg")
    write_labelme(folder / "a.json", ("polyp", STAR))
    write_labelme(folder / "a2.json", ("polyp", LARGE), image="a.jpg")
    result = run(folder, tmp_path / "m.csv")
    assert len({pair.mask for pair in result.pairs}) == 2
    assert len(accepted(tmp_path / "m.csv")) == 2


def test_splits_and_groups(tmp_path):
    for name in ("train/p1_1", "train/p1_2", "val/p2_1"):
        write_image(tmp_path / f"data/{name}.png")
        write_labelme(tmp_path / f"data/{name}.json", ("polyp", STAR))
    result = run(tmp_path / "data", tmp_path / "m.csv", group=r"^(p\d)")
    assert [(pair.split, pair.group) for pair in result.pairs] == [
        (Split.TRAIN, "p1"), (Split.TRAIN, "p1"), (Split.VAL, "p2")
    ]  # fmt: skip
    for kwargs in ({"group": "("}, {"group": "x"}, {"group": "(zzz)"}):
        with pytest.raises(PromiseError, match="--group"):
            run(tmp_path / "data", tmp_path / "n.csv", **kwargs)
    assert not (tmp_path / "n_imported_masks").exists()


@pytest.mark.parametrize("stated", ["NFC", "NFD"])
@pytest.mark.parametrize("of_file", ["NFC", "NFD"])
def test_names_are_found_whether_accents_are_composed_or_not(tmp_path, stated, of_file):
    folder, name = unicodedata.normalize(of_file, "Ren\u00e9"), unicodedata.normalize(of_file, "M\u00fcller.png")
    for path in (tmp_path / folder / name, tmp_path / "b" / name, tmp_path / "c/u\u0308 1.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    files = ImageFiles(tmp_path)

    def find(path):
        return files.find(AnnotatedImage(path, "here"), tmp_path / "a.json", follow_paths=False)

    assert find(unicodedata.normalize(stated, "Ren\u00e9/M\u00fcller.png")) == tmp_path / folder / name
    assert find(unicodedata.normalize(stated, "Ren\u00e9/M\u00fcller.jpg")) == tmp_path / folder / name
    for uploaded in ("0123abcd-u_1.png", "0123abcd-\u00fc_1.png"):
        assert find(uploaded) == tmp_path / "c/u\u0308 1.png"
