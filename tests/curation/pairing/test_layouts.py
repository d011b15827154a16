"""Each layout as it lies on a disk, and the splits and pairs that come of it. Files are empty: names decide."""

import os
from pathlib import Path

import pytest

from promise_seg.curation.pairing.folders import pair_folder
from promise_seg.errors import ImageError, ManifestError


@pytest.fixture
def lay(tmp_path):
    def files(*names):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "data"

    return files


def pairs(folder):
    """``(split, image, mask)`` of all pairs, with paths below the folder."""
    found = pair_folder(folder).pairs
    return {(p.split, p.image.relative_to(folder).as_posix(), p.mask.relative_to(folder).as_posix()) for p in found}


def test_a_word_such_as_mask_is_no_class(lay):
    folder = lay(*(f"{split}/{kind}/{name}.png" for split in ("train", "val") for kind, name in (
        ("images", f"{split}1"), ("images", f"{split}2"), ("masks", f"{split}1_mask"), ("masks", f"{split}2_mask"),
    )))  # fmt: skip
    assert {(split, image) for split, image, _ in pairs(folder)} == {
        ("train", "train/images/train1.png"), ("train", "train/images/train2.png"),
        ("val", "val/images/val1.png"), ("val", "val/images/val2.png"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("images", "masks"),
    [("images", "masks"), ("IMAGE", "Mask"), ("imgs", "labels"), ("img", "Annotations"), ("Images", "GT"),
     ("Original", "Ground Truth"), ("images", "ground_truth"), ("images", "groundtruth"), ("images", "segmentations")],
)  # fmt: skip
def test_side_by_side(lay, images, masks):
    folder = lay(f"{images}/a.jpg", f"{images}/deep/a.png", f"{masks}/a.png", f"{masks}/deep/a_mask.png")
    assert pairs(folder) == {
        (None, f"{images}/a.jpg", f"{masks}/a.png"),
        (None, f"{images}/deep/a.png", f"{masks}/deep/a_mask.png"),
    }
    assert pair_folder(folder).remarks() == []
    assert not pair_folder(folder).knows_splits


def test_two_folders_of_masks_are_not_guessed_between_unless_one_has_no_images(lay):
    folder = lay("images/a.jpg", "masks/a.png", "labels/a.txt")
    assert pairs(folder) == {(None, "images/a.jpg", "masks/a.png")}
    lay("labels/a.png")
    with pytest.raises(ManifestError, match=r"data: found labels/, masks/, expected one folder of masks"):
        pair_folder(folder)


def test_nnunet(lay):
    folder = lay(
        "imagesTr/ct_01_0000.nii.gz", "imagesTr/ct_01_0001.nii.gz", "labelsTr/ct_01.nii.gz",
        "imagesTs/ct_02_0000.nii.gz", "labelsTs/ct_02.nii.gz", "imagesTs/ct_03_0000.nii.gz",
        "dataset.json", "imagesTr/._ct_01_0000.nii.gz",
    )  # fmt: skip
    assert pairs(folder) == {
        ("train", "imagesTr/ct_01_0000.nii.gz", "labelsTr/ct_01.nii.gz"),
        ("test", "imagesTs/ct_02_0000.nii.gz", "labelsTs/ct_02.nii.gz"),
    }
    remarks = pair_folder(folder).remarks()
    assert remarks[0] == "1 image(s) without mask: imagesTs/ct_03_0000.nii.gz"
    assert remarks[1].startswith("1 image(s) not used: channels other than _0000")
    assert remarks[1].endswith("imagesTr/ct_01_0001.nii.gz")
    assert remarks[2:] == [
        "1 table(s) and other text file(s) ignored, because they are not images (.json 1): dataset.json"
    ]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_nnunet_with_pictures_and_names_as_they_are_in_the_decathlon(lay, suffix):
    folder = lay(f"imagesTr/a_2021.{suffix}", f"labelsTr/a_2021.{suffix}")
    assert pairs(folder) == {("train", f"imagesTr/a_2021.{suffix}", f"labelsTr/a_2021.{suffix}")}


def test_polyp_benchmarks(lay):
    folder = lay(
        "TrainDataset/image/1.png", "TrainDataset/masks/1.png", "TestDataset/Kvasir/images/1.png",
        "TestDataset/Kvasir/masks/1.png", "TestDataset/CVC-300/images/1.png", "TestDataset/CVC-300/masks/1.png",
    )  # fmt: skip
    assert pairs(folder) == {
        ("train", "TrainDataset/image/1.png", "TrainDataset/masks/1.png"),
        ("test", "TestDataset/Kvasir/images/1.png", "TestDataset/Kvasir/masks/1.png"),
        ("test", "TestDataset/CVC-300/images/1.png", "TestDataset/CVC-300/masks/1.png"),
    }
    assert {(p.dataset, p.split) for p in pair_folder(folder).pairs} == {
        ("", "train"), ("Kvasir", "test"), ("CVC-300", "test")
    }  # fmt: skip


def test_isic_of_2018(lay):
    names = [("Training", "train"), ("Validation", "val"), ("Test", "test")]
    for word, _ in names:
        folder = lay(
            f"ISIC2018_Task1-2_{word}_Input/ISIC_0000001.jpg",
            f"ISIC2018_Task1-2_{word}_Input/ATTRIBUTION.txt",
            f"ISIC2018_Task1_{word}_GroundTruth/ISIC_0000001_segmentation.png",
            f"ISIC2018_Task3_{word}_Input/ISIC_0000001.jpg",
        )
    assert pairs(folder) == {
        (
            split,
            f"ISIC2018_Task1-2_{word}_Input/ISIC_0000001.jpg",
            f"ISIC2018_Task1_{word}_GroundTruth/ISIC_0000001_segmentation.png",
        )
        for word, split in names
    }
    texts, remark = pair_folder(folder).remarks()
    assert texts.startswith("3 table(s) and other text file(s) ignored, because they are not images (.txt 3): ISIC2018")
    assert remark.startswith("3 folder(s) with images not used")


def test_isic_of_2017_with_superpixels_beside_the_images(lay):
    folder = lay(
        "ISIC-2017_Training_Data/ISIC_0000001.jpg", "ISIC-2017_Training_Data/ISIC_0000001_superpixels.png",
        "ISIC-2017_Training_Part1_GroundTruth/ISIC_0000001_segmentation.png",
        "ISIC-2017_Test_v2_Data/ISIC_0000002.jpg",
    )  # fmt: skip
    assert {split for split, *_ in pairs(folder)} == {"train"}
    alone, unused = pair_folder(folder).remarks()
    assert alone == "1 image(s) without mask: ISIC-2017_Test_v2_Data/ISIC_0000002.jpg"
    assert unused.startswith("1 image(s) not used")


@pytest.mark.parametrize(
    ("val", "test"), [("val", "test"), ("valid", "Testing"), ("validation", "TEST")]
)  # fmt: skip
def test_split_folders_outside_and_inside(lay, tmp_path, val, test):
    names = {"train": "train", val: "val", test: "test"}
    outside = lay(*(f"outside/{name}/{kind}/1.png" for name in names for kind in ("images", "masks"))) / "outside"
    inside = lay(*(f"inside/{kind}/{name}/1.png" for name in names for kind in ("images", "masks"))) / "inside"
    flat = lay(*(f"flat/{name}/{stem}.png" for name in names for stem in ("1", "1_mask"))) / "flat"
    assert pairs(outside) == {(split, f"{name}/images/1.png", f"{name}/masks/1.png") for name, split in names.items()}
    assert pairs(inside) == {(split, f"images/{name}/1.png", f"masks/{name}/1.png") for name, split in names.items()}
    assert pairs(flat) == {(split, f"{name}/1.png", f"{name}/1_mask.png") for name, split in names.items()}


def test_a_split_folder_without_masks_is_reported(lay):
    folder = lay("train/images/1.png", "train/masks/1.png", "test/images/2.png")
    assert pair_folder(folder).remarks() == ["1 image(s) without mask: test/images/2.png"]


def test_images_beside_the_split_folders_are_reported(lay):
    folder = lay("images/train/1.png", "masks/train/1.png", "images/2.png", "masks/2.png")
    assert pairs(folder) == {("train", "images/train/1.png", "masks/train/1.png")}
    (remark,) = pair_folder(folder).remarks()
    assert remark == "2 folder(s) with images not used, because they are not part of the layout: images, masks"


@pytest.mark.parametrize(
    "mask",
    ["a_mask", "a_segmentation", "a_seg", "a_label", "a_labels", "a_gt", "a-mask", "mask_a", "a_Mask", "a_mask_1"],
)
def test_flat(lay, mask):
    folder = lay("a.jpg", f"{mask}.png", "below/a.jpg", f"below/{mask}.png")
    assert pairs(folder) == {(None, "a.jpg", f"{mask}.png"), (None, "below/a.jpg", f"below/{mask}.png")}


def test_drive_is_paired_with_its_vessels_not_with_the_field_of_view(lay):
    folder = lay(
        "training/images/21_training.tif", "training/1st_manual/21_manual1.gif", "training/mask/21_training_mask.gif",
        "test/images/01_test.tif", "test/1st_manual/01_manual1.gif", "test/2nd_manual/01_manual2.gif",
        "test/mask/01_test_mask.gif", "test/images/02_test.tif",
    )  # fmt: skip
    assert pairs(folder) == {
        ("train", "training/images/21_training.tif", "training/1st_manual/21_manual1.gif"),
        ("test", "test/images/01_test.tif", "test/1st_manual/01_manual1.gif"),
    }
    alone, elsewhere = pair_folder(folder).remarks()
    assert alone == "1 image(s) without mask: test/images/02_test.tif"
    assert elsewhere.endswith("test/2nd_manual, test/mask, training/mask")
    assert pairs(folder / "training") == {(None, "images/21_training.tif", "1st_manual/21_manual1.gif")}


def groups(folder):
    return {pair.image.relative_to(folder).as_posix(): pair.group for pair in pair_folder(folder).pairs}


def test_a_folder_for_each_case_is_a_group(lay):
    folder = lay(
        "patient00/images/1.jpg", "patient00/images/2.jpg", "patient00/masks/1.png", "patient00/masks/2_mask.png",
        "patient01/imgs/1.jpg", "patient01/labels/1.gif", "patient02/images/1.jpg", "notes/readme.txt",
    )  # fmt: skip
    assert pairs(folder) == {
        (None, "patient00/images/1.jpg", "patient00/masks/1.png"),
        (None, "patient00/images/2.jpg", "patient00/masks/2_mask.png"),
        (None, "patient01/imgs/1.jpg", "patient01/labels/1.gif"),
    }
    assert groups(folder) == {
        "patient00/images/1.jpg": "patient00", "patient00/images/2.jpg": "patient00",
        "patient01/imgs/1.jpg": "patient01",
    }  # fmt: skip
    assert pair_folder(folder).remarks() == [
        "1 image(s) without mask: patient02/images/1.jpg",
        "1 table(s) and other text file(s) ignored, because they are not images (.txt 1): notes/readme.txt",
    ]


def test_cases_in_folders_of_splits_and_of_sites(lay):
    cases = ("{}/p1/images/a.png", "{}/p1/masks/a.png")
    split = lay(*(f"split/{case.format(name)}" for name in ("my_train", "Test") for case in cases)) / "split"
    assert {(pair.split, pair.group) for pair in pair_folder(split).pairs} == {("train", "p1"), ("test", "p1")}
    sites = lay(*(f"sites/{case.format(name)}" for name in ("a", "b") for case in cases)) / "sites"
    assert groups(sites) == {"a/p1/images/a.png": "a/p1", "b/p1/images/a.png": "b/p1"}


def test_folders_named_after_splits_are_no_cases(lay):
    """Otherwise all of them would be train, and each one group."""
    folder = lay(*(f"{name}/{kind}/1.png" for name in ("data_train", "data_test") for kind in ("images", "masks")))
    assert pairs(folder) == {
        ("train", "data_train/images/1.png", "data_train/masks/1.png"),
        ("test", "data_test/images/1.png", "data_test/masks/1.png"),
    }
    assert {(pair.group, pair.dataset) for pair in pair_folder(folder).pairs} == {("", "")}


def test_masks_of_single_objects_belong_to_the_one_image_beside_them(lay):
    folder = lay(
        "stage1_train/7a/images/7a.png", "stage1_train/7a/masks/ff.png", "stage1_train/7a/masks/0c.png",
        "stage1_train/8b/images/8b.png", "stage1_train/8b/masks/8b.png", "stage1_test/9c/images/9c.png",
        "stage1_train/d/images/d.png", "stage1_train/d/images/e.png", "stage1_train/d/masks/0.png",
        "stage1_train/f/images/g.png", "stage1_train/f/masks/1.png",
    )  # fmt: skip
    found = pair_folder(folder)
    objects = {p.image.name: (p.group, p.split, p.mask.name, [path.name for path in p.objects]) for p in found.pairs}
    assert objects == {
        "7a.png": ("7a", "train", "masks", ["0c.png", "ff.png"]),
        "8b.png": ("8b", "train", "8b.png", []),
    }
    assert sorted(path.name for path in found.images_alone) == ["9c.png", "d.png", "e.png", "g.png"]
    assert sorted(path.name for path in found.masks_alone) == ["0.png", "1.png"]


def test_two_images_of_one_name_with_masks_of_classes_are_told(lay):
    """One of them was once left out without a word."""
    names = ("liver/a.png", "liver/b.png", "spleen/a.png", "spleen/b.png")
    folder = lay("images/a.png", "images/a.jpg", "images/b.png", *(f"masks/{name}" for name in names))
    found = pair_folder(folder)
    assert [pair.image.name for pair in found.pairs] == ["b.png"]
    assert [sorted(line.rpartition("images: ")[2].split(" have ")[0].split(", ")) for line in found.clashes] == [
        ["a.jpg", "a.png"]
    ]


def test_a_folder_that_may_not_be_looked_at(lay, monkeypatch):
    folder = lay("images/a.png", "masks/a.png")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(ImageError, match=r"data: cannot be listed: Permission denied\. Check its permissions"):
        pair_folder(folder)


def test_the_folder_that_may_not_be_looked_at_is_named_and_not_a_path_in_it(lay, monkeypatch):
    folder = lay("images/a.png", "masks/a.png")
    is_dir, scandir = Path.is_dir, os.scandir

    def refuse(path):
        if path.parent == folder / "images":
            raise PermissionError(13, "Permission denied", str(path))
        return is_dir(path)

    def refuse_listing(path="."):
        if Path(path) == folder / "images":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(Path, "is_dir", refuse)
    monkeypatch.setattr(os, "scandir", refuse_listing)
    with pytest.raises(ImageError, match=r"data/images: cannot be listed: Permission denied\. Check its permissions"):
        pair_folder(folder)


def test_nothing_to_pair_is_told_in_short_lines_with_what_was_found_and_the_layouts(lay, tmp_path):
    folder = lay("images/a.png", "masks/b.png")
    with pytest.raises(ManifestError) as caught:
        pair_folder(folder)
    message = str(caught.value)
    assert max(map(len, message.replace(str(folder), "").splitlines())) < 120
    assert "would give" not in message
    for words in ("1 image(s) without mask: images/a.png", "1 mask(s) without image: masks/b.png", "nnU-Net", "ISIC"):
        assert words in message
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=r"empty: no image could be paired .* it has\n  - no images at all\n"):
        pair_folder(tmp_path / "empty")
    with pytest.raises(ManifestError, match=r"nowhere: no such folder"):
        pair_folder(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match=r"a\.png: is a file; expected the folder"):
        pair_folder(folder / "images/a.png")


def test_a_subfolder_that_gives_pairs_is_proposed_and_packages_are_left_out(lay):
    folder = lay(
        "logo.png", "cells/images/a.png", "cells/masks/a.png", "cells/images/b.png", "cells/masks/b.png",
        "node_modules/x/icon.png", "env/pyvenv.cfg", "env/lib/plot.png", ".venv/y.png",
        *(f"src/a.x{number}" for number in range(9)),
    )  # fmt: skip
    with pytest.raises(ManifestError) as caught:
        pair_folder(folder)
    message = str(caught.value)
    assert "Give one of its subfolders instead: cells/ would give 2 pairs\n" in message
    assert "icon" not in message
    assert "plot" not in message
    assert ".x4 1, and 4 other kinds)" in message


def test_annotations_are_pointed_out_unless_they_are_of_packages(lay):
    hint = r"If its \.xml files are annotations, such as polygons: promise data import\Z"
    with pytest.raises(ManifestError, match=hint):
        pair_folder(lay("a.png", "a.xml", "node_modules/x/a.json", ".venv/b.json"))
