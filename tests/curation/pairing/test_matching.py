"""What belongs to what, and what is reported instead of guessed."""

import json
import unicodedata

import pytest

from promise_seg.curation.pairing.class_masks import match_classes
from promise_seg.curation.pairing.folders import pair_by_patterns
from promise_seg.curation.pairing.label_studio import match_label_studio
from promise_seg.curation.pairing.matching import LayoutPart, bare_stems, match
from promise_seg.curation.pairing.scanning import scan


@pytest.fixture
def part(tmp_path):
    def of(images=(), masks=(), flat=()):
        for folder, names in (("images", images), ("masks", masks), ("flat", flat)):
            for name in names:
                path = tmp_path / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return (
            LayoutPart(tmp_path / "flat", tmp_path / "flat")
            if flat
            else LayoutPart(tmp_path / "images", tmp_path / "masks")
        )

    return of


def names(found):
    return {(pair.image.name, pair.mask.name) for pair in found.pairs}


def test_a_mask_of_the_same_stem_goes_before_one_named_after_another_image(part):
    found = match(part(images=["a.png", "a_seg.png"], masks=["a.png", "a_seg.png"]))
    assert names(found) == {("a.png", "a.png"), ("a_seg.png", "a_seg.png")}
    assert found.clashes == []


@pytest.mark.parametrize("names_of_masks", [["a.png", "a.tif"], ["a.png", "a_mask.png"], ["a_mask.png", "a_seg_1.png"]])
def test_an_image_with_two_candidate_masks_is_reported(part, names_of_masks):
    found = match(part(images=["a.png", "b.png"], masks=[*names_of_masks, "b.png"]))
    assert names(found) == {("b.png", "b.png")}
    (clash,) = found.clashes
    assert all(name in clash for name in ("images/a.png", *names_of_masks))
    assert found.images_alone == found.masks_alone == []


@pytest.mark.parametrize(
    ("masks", "numbers"),
    [(["a_mask.png", "a_mask_1.png"], ("", "1")), (["a_seg1.png", "a_seg2.png", "a_seg10.png"], ("1", "10", "2"))],
)
def test_numbered_masks_of_one_image_are_its_parts(part, masks, numbers):
    (pair,) = match(part(images=["a.png"], masks=masks)).pairs
    assert [path.name for path in pair.objects] == sorted(masks)
    assert pair.parts == numbers


@pytest.mark.parametrize(
    ("image", "mask"),
    [("1.png", "001.png"), ("image_1.png", "label_1.png"), ("case_007_img.png", "seg_case_7.png"),
     ("volume-3.nii", "segmentation-3.nii"), ("IMG_0001.jpg", "0001.png")],
)  # fmt: skip
def test_zeros_before_numbers_and_words_for_images_do_not_matter(part, image, mask):
    found = match(part(images=[image, "other_9.png"], masks=[mask, "other_9.png"]))
    assert names(found) == {(image, mask), ("other_9.png", "other_9.png")}


def test_a_mask_that_two_images_could_have_is_not_guessed(part):
    found = match(part(images=["1.png", "01.png"], masks=["001.png"]))
    assert found.pairs == []
    assert [path.name for path in found.masks_alone] == ["001.png"]


def test_slices_with_a_mask_each_beside_them_are_no_series(part):
    found = match(part(flat=["p1/1.dcm", "p1/1_mask.png", "p1/2.dcm", "p1/2_mask.png"]))
    assert names(found) == {("1.dcm", "1_mask.png"), ("2.dcm", "2_mask.png")}


def test_two_images_of_one_stem_are_reported(part):
    found = match(part(images=["a.png", "a.jpg", "b.jpg"], masks=["a.png", "b.png"]))
    assert names(found) == {("b.jpg", "b.png")}
    (clash,) = found.clashes
    assert "a.jpg and a.png have the same stem" in clash


def test_the_same_stem_in_two_folders_is_no_clash_and_never_paired_across(part):
    found = match(part(images=["p1/a.png", "p2/a.png", "p3/a.png"], masks=["p1/a.png", "p2/a.png", "a.png"]))
    assert {pair.image.parent.name for pair in found.pairs} == {"p1", "p2"}
    assert all(pair.image.parent.name == pair.mask.parent.name for pair in found.pairs)
    assert [path.parent.name for path in found.images_alone] == ["p3"]
    assert [path.name for path in found.masks_alone] == ["a.png"]


def test_in_one_folder_images_named_like_masks_are_images_if_a_mask_is_named_after_them(part):
    found = match(part(flat=["colon_seg_1.png", "colon_seg_1_mask.png", "b_mask.png", "c.png"]))
    assert names(found) == {("colon_seg_1.png", "colon_seg_1_mask.png")}
    assert [path.name for path in found.masks_alone] == ["b_mask.png"]
    assert [path.name for path in found.images_alone] == ["c.png"]


def test_litter_is_silent_and_unknown_kinds_are_not(part):
    litter = ["Thumbs.db", "._a.png", ".hidden.png", "desktop.ini", "a.csv", "a.json", "a.txt", ".git/a.png"]
    found = match(part(images=["a.png", "a.svs", *litter], masks=["a.png", "b.mgz"]))
    assert names(found) == {("a.png", "a.png")}
    assert [path.name for path in found.ignored] == ["a.svs", "b.mgz"]
    assert found.images_alone == found.masks_alone == []


@pytest.mark.parametrize("mask", ["case1.nii.gz", "case1_seg.nii.gz", "case1/seg.dcm", "case1/001.png"])
def test_a_folder_of_dicom_files_is_one_image(part, tmp_path, mask):
    found = match(part(images=["case1/001.dcm", "case1/002.dcm", "x.dcm"], masks=[mask, "x.png"]))
    assert {(pair.image, pair.mask) for pair in found.pairs} == {
        (tmp_path / "images/case1", tmp_path / "masks" / mask),
        (tmp_path / "images/x.dcm", tmp_path / "masks/x.png"),
    }


def test_a_folder_with_several_masks_is_the_mask_of_a_series(part, tmp_path):
    found = match(part(images=["case1/001.dcm", "case1/002.dcm"], masks=["case1/a.dcm", "case1/b.dcm"]))
    assert [(p.image.name, p.mask) for p in found.pairs] == [("case1", tmp_path / "masks/case1")]


def test_dicom_images_that_are_masked_one_by_one_are_no_series(part, tmp_path):
    """As mammograms of one patient in one folder."""
    found = match(part(images=["p1/L_CC.dcm", "p1/L_MLO.dcm"], masks=["p1/L_CC.png", "p1/L_MLO_mask.png"]))
    assert {(p.image.name, p.mask.name) for p in found.pairs} == {
        ("L_CC.dcm", "L_CC.png"),
        ("L_MLO.dcm", "L_MLO_mask.png"),
    }


def test_dicom_files_without_a_suffix_are_known_by_their_first_bytes(part, tmp_path):
    one = part(images=["p/1.2.840.1", "p/1.2.840.2", "q/README"], masks=["p.png"])
    (tmp_path / "images/p/1.2.840.1").write_bytes(b"\0" * 128 + b"DICM")
    found = match(one)
    assert names(found) == {("p", "p.png")}
    assert [path.name for path in found.ignored] == ["README"]


def test_a_link_that_leads_back_up_is_not_followed(part, tmp_path):
    one = part(images=["a.png"], masks=["a.png"])
    (tmp_path / "images/loop").symlink_to(tmp_path / "images", target_is_directory=True)
    assert names(match(one)) == {("a.png", "a.png")}


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("a", []),
        ("unmask", []),
        ("mask", []),
        ("a_mask", ["a"]),
        ("ISIC_0000001_segmentation", ["ISIC_0000001"]),
        ("a_gt_mask", ["a_gt"]),
        ("a_ground_truth", ["a"]),
        ("benign (1)_mask_2", ["benign (1)"]),
        ("seg_1_mask", ["seg_1", "1_mask"]),
    ],
)
def test_bare_stems(stem, expected):
    assert bare_stems(stem) == expected


COMPOSED, APART = (unicodedata.normalize(form, "M\u00fcller") for form in ("NFC", "NFD"))
"""The same name, as most programs and as macOS write it."""


@pytest.mark.parametrize(("image", "mask"), [(COMPOSED, APART), (APART, COMPOSED), (APART, APART)])
def test_names_are_equal_whether_accents_are_composed_or_not(part, image, mask):
    for of in (
        part(images=[f"{image}.png", "b.png"], masks=[f"{mask}_mask.png", "b.png"]),
        part(flat=[f"{image}.png", f"{mask}_mask.png", f"x{image}_gt_1.png", f"x{mask}.png"]),
    ):
        found = match(of)
        assert len(found.pairs) == 2
        assert found.images_alone == found.masks_alone == found.clashes == []
        assert found.pairs[0].image.exists()


@pytest.mark.parametrize(("image", "mask"), [(COMPOSED, APART), (APART, COMPOSED), (APART, APART)])
def test_patterns_and_classes_compare_composed_names(tmp_path, image, mask):
    for name in (f"{image}/f_{image}1.png", f"{mask}/m_{mask}1.png"):
        (tmp_path / "patterns" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "patterns" / name).touch()
    for pattern in (COMPOSED, APART):
        found = pair_by_patterns(tmp_path / "patterns", f"*/f_{pattern}*.png", f"*/m_{pattern}*.png")
        assert len(found.pairs) == 1
    for name in (f"{image}/images/{image}1.png", f"{mask}/masks/{mask}1_fat.png", f"{mask}/masks/{mask}1_liver.png"):
        (tmp_path / "classes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "classes" / name).touch()
    (pair,) = match_classes(scan(tmp_path / "classes")).pairs
    assert pair.parts == ("fat", "liver")


def test_tasks_of_label_studio_name_images_in_either_form(tmp_path):
    (tmp_path / "tasks.json").write_text(json.dumps([{"id": 7, "data": {"image": f"/upload/0123abcd-{COMPOSED}.png"}}]))
    for name in (f"{APART}.png", "task-7-annotation-1-by-1-tag-cell-0.png"):
        (tmp_path / name).touch()
    (pair,) = match_label_studio(tmp_path, scan(tmp_path)).pairs
    assert pair.image.name == f"{APART}.png"
