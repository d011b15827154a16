import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from promise_seg.curation.sets import arranging
from promise_seg.curation.sets.arranging import arrange
from promise_seg.curation.sets.known_sets import KNOWN_SETS, KnownSet
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import PromiseError
from promise_seg.storage import strays
from promise_seg.storage.strays import temporary_name
from promise_seg.vocabulary import Split
from tests.curation.sets.helpers import benchmark, isic, kvasir, mask, picture, write_tree


def small(name: str, *counts: int, numbered: int = 0) -> KnownSet:
    """A known set with fewer images."""
    known = KNOWN_SETS[name]
    parts = [replace(part, count=count) for part, count in zip(known.parts, counts, strict=True)]
    return replace(known, parts=(replace(parts[0], numbered_count=numbered), *parts[1:]))


def records(folder):
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def arranged_kvasir(tmp_path):
    root = write_tree(tmp_path / "unpacked", kvasir())
    return arrange(small("kvasir-seg", 20), "kvasir-seg", [root], tmp_path / "data"), root, tmp_path / "data"


def test_images_byte_for_byte_and_masks_as_png(arranged_kvasir):
    result, root, folder = arranged_kvasir
    assert len(list((folder / "images").iterdir())) == len(list((folder / "masks").iterdir())) == 20
    for path in (folder / "images").iterdir():
        assert path.read_bytes() == (root / "Kvasir-SEG/images" / path.name).read_bytes()
        pixels = np.asarray(Image.open(folder / "masks" / f"{path.stem}.png"))
        assert set(np.unique(pixels)) == {0, 255}
        assert (pixels[:, 6:] == 255).all()
    assert result.cut_masks == 20
    assert list(records(folder)[0]) == ["image_name", "train_type", "mask_name"]


def test_the_manifest_passes_every_check_of_training(arranged_kvasir):
    _, _, folder = arranged_kvasir
    assert len(check_rows(read_manifest(folder / "manifest.csv"))) == 20


def test_our_own_validation_is_a_tenth_and_always_the_same(arranged_kvasir, tmp_path):
    result, root, folder = arranged_kvasir
    assert result.rows == {"train": 18, "val": 2, "test": 0}
    assert result.own_validation == 2
    arrange(small("kvasir-seg", 20), "kvasir-seg", [root], tmp_path / "again")
    assert (tmp_path / "again/manifest.csv").read_text() == (folder / "manifest.csv").read_text()


def test_a_list_of_test_names(tmp_path):
    root = write_tree(tmp_path / "unpacked", kvasir())
    known, names = small("kvasir-seg", 20), frozenset({"cju03", "cju07", "cju11"})
    result = arrange(known, "kvasir-seg", [root], tmp_path / "data", test_names=names)
    assert result.rows == {"train": 15, "val": 2, "test": 3}
    tested = {row["image_name"] for row in records(tmp_path / "data") if row["train_type"] == "test"}
    assert tested == {f"images/{name}.jpg" for name in names}
    with pytest.raises(PromiseError, match=r"1 of 2 names are not in kvasir-seg, for example other"):
        arrange(known, "kvasir-seg", [root], tmp_path / "data", test_names=frozenset({"other", "cju03"}))
    assert not (tmp_path / "data/manifest.csv").exists()


@pytest.fixture
def arranged_benchmark(tmp_path):
    train, test = benchmark()
    roots = [write_tree(tmp_path / "a", train), write_tree(tmp_path / "b", test)]
    known = small("polyp-benchmark", 24, 1, 2, 2, 3, 2, numbered=12)
    return arrange(known, "polyp-benchmark", roots, tmp_path / "data"), tmp_path / "data"


def test_the_benchmark_is_one_manifest_with_the_set_of_each_row(arranged_benchmark):
    result, folder = arranged_benchmark
    rows = records(folder)
    assert result.rows["test"] == 10
    assert result.rows["train"] + result.rows["val"] == 24
    test = [row["dataset"] for row in rows if row["train_type"] == "test"]
    assert {name: test.count(name) for name in test} == {
        "Kvasir": 1, "CVC-ClinicDB": 2, "CVC-300": 2, "CVC-ColonDB": 3, "ETIS-LaribPolypDB": 2
    }  # fmt: skip
    trained = [row["dataset"] for row in rows if row["train_type"] != "test"]
    assert {name: trained.count(name) for name in trained} == {"Kvasir": 12, "CVC-ClinicDB": 12}
    assert len({row["image_name"] for row in rows}) == 34
    assert result.cut_masks == 0


def test_validation_is_never_of_test_and_divides_no_sequence(arranged_benchmark):
    _, folder = arranged_benchmark
    rows = read_manifest(folder / "manifest.csv")
    val = [row for row in rows if row.split == Split.VAL]
    assert val
    assert all(row.image.parent.name == "train" for row in val)
    assert not {row.group for row in val} & {row.group for row in rows if row.split == Split.TRAIN}
    check_rows(rows)


def test_frames_of_clinicdb_have_their_sequence_as_group(arranged_benchmark):
    _, folder = arranged_benchmark
    groups = {row["image_name"]: row["group"] for row in records(folder)}
    assert groups["images/train/25.png"] == "CVC-ClinicDB sequence 01"
    assert groups["images/train/26.png"] == "CVC-ClinicDB sequence 02"
    assert groups["images/CVC-ClinicDB/60.png"] == "CVC-ClinicDB sequence 03"
    assert groups["images/CVC-300/1.png"] == groups["images/train/cju03.png"] == ""


def test_identical_images_stay_on_one_side(tmp_path):
    files = kvasir()
    for number in range(10):
        files[f"Kvasir-SEG/images/cju{number + 10:02d}.jpg"] = files[f"Kvasir-SEG/images/cju{number:02d}.jpg"]
    root = write_tree(tmp_path / "unpacked", files)
    result = arrange(small("kvasir-seg", 20), "kvasir-seg", [root], tmp_path / "data")
    assert result.own_validation == 2
    check_rows(read_manifest(tmp_path / "data/manifest.csv"))


def test_a_published_validation_split_is_kept(tmp_path):
    roots = []
    for word, numbers in (("Training", range(20)), ("Validation", range(20, 23)), ("Test", range(23, 28))):
        images, masks = isic(word, numbers)
        roots += [write_tree(tmp_path / f"{word}-a", images), write_tree(tmp_path / f"{word}-b", masks)]
    result = arrange(small("isic-2018", 20, 3, 5), "isic-2018", roots, tmp_path / "data")
    assert result.rows == {"train": 20, "val": 3, "test": 5}
    assert result.own_validation == 0
    assert records(tmp_path / "data")[0]["mask_name"] == "masks/ISIC_0000000.png"


@pytest.mark.parametrize(
    ("images", "masks", "suffix"),
    [("Original", "Ground Truth", ".tif"), ("images", "masks", ".png"), ("PNG/Original", "PNG/Ground Truth", ".png")],
)
def test_the_layouts_of_clinicdb(tmp_path, images, masks, suffix):
    files = {}
    for frame in range(1, 41):
        files[f"CVC-ClinicDB/{images}/{frame}{suffix}"] = picture(frame, suffix)
        files[f"CVC-ClinicDB/{masks}/{frame}{suffix}"] = mask(suffix)
    root = write_tree(tmp_path / "unpacked", files)
    result = arrange(small("cvc-clinicdb", 40), "cvc-clinicdb", [root], tmp_path / "data")
    assert result.rows["test"] == 0
    assert result.own_validation in {15, 25}  # a whole sequence
    assert len(check_rows(read_manifest(tmp_path / "data/manifest.csv"))) == 40


@pytest.mark.parametrize("alone", [True, False])
def test_the_layouts_of_etis(tmp_path, alone):
    files = benchmark()[1]
    if alone:
        files = {}
        for number in (1, 2):
            files[f"ETIS-LaribPolypDB/ETIS-LaribPolypDB/{number}.tif"] = picture(number, ".tif")
            files[f"ETIS-LaribPolypDB/Ground Truth/p{number}.tif"] = mask(".tif")
    root = write_tree(tmp_path / "unpacked", files)
    result = arrange(small("etis", 2), "etis", [root], tmp_path / "data")
    assert result.rows == {"train": 0, "val": 0, "test": 2}


def test_a_folder_too_many_levels_down_is_found(tmp_path):
    files = {f"TestDataset/{name}": content for name, content in benchmark()[1].items()}
    root = write_tree(tmp_path / "unpacked", files)
    assert arrange(small("cvc-300", 2), "cvc-300", [root], tmp_path / "data").rows["test"] == 2


def test_another_number_of_images_is_refused(tmp_path):
    root = write_tree(tmp_path / "unpacked", kvasir())
    with pytest.raises(PromiseError, match=r"no folder with 1,000 images.*found Kvasir-SEG/images \(20 images\)"):
        arrange(KNOWN_SETS["kvasir-seg"], "kvasir-seg", [root], tmp_path / "data")
    (root / "Kvasir-SEG/masks/cju03.jpg").unlink()
    with pytest.raises(PromiseError, match=r"expected images or image and masks or mask"):
        arrange(small("kvasir-seg", 20), "kvasir-seg", [root], tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_the_benchmark_with_other_shares_is_refused(tmp_path):
    train, test = benchmark(kvasir_count=13, frames=range(20, 31))
    root = write_tree(tmp_path / "a", train | test)
    with pytest.raises(PromiseError, match="11 images are named by numbers, as those of CVC-ClinicDB; expected 12"):
        arrange(small("polyp-benchmark", 24, 1, 2, 2, 3, 2, numbered=12), "x", [root], tmp_path / "data")


def test_a_half_finished_arrangement_has_no_manifest_and_is_finished_later(tmp_path, monkeypatch):
    root, folder = write_tree(tmp_path / "unpacked", kvasir()), tmp_path / "data"

    def stop(done):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        arrange(small("kvasir-seg", 20), "kvasir-seg", [root], folder, progress=stop)
    assert not (folder / "manifest.csv").exists()
    assert len(list((folder / "images").iterdir())) == 7
    (folder / "images/cju00.jpg").write_bytes(b"of something else")
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        killed.wait()
    left = temporary_name("cju01.jpg").replace(f"-{os.getpid():x}-", f"-{killed.pid:x}-")
    (folder / "images" / left).write_bytes(b"left by a killed run")
    monkeypatch.setattr(strays, "_cleared", {})  # as in a new process
    (folder / "images/.thumbnails").mkdir()  # of a program that shows pictures
    arrange(small("kvasir-seg", 20), "kvasir-seg", [root], folder)
    assert len([path for path in (folder / "images").iterdir() if path.name != ".thumbnails"]) == 20
    assert (folder / "images/.thumbnails").is_dir()
    assert len(check_rows(read_manifest(folder / "manifest.csv"))) == 20


def test_a_damaged_mask_leaves_no_manifest(tmp_path):
    files = kvasir()
    files["Kvasir-SEG/masks/cju05.jpg"] = b"damage"
    root = write_tree(tmp_path / "unpacked", files)
    with pytest.raises(PromiseError, match=r"cju05\.jpg: not a readable image"):
        arrange(small("kvasir-seg", 20), "kvasir-seg", [root], tmp_path / "data")
    assert not (tmp_path / "data" / arranging.MANIFEST).exists()


def test_linked_files_survive_their_source(tmp_path):
    root = write_tree(tmp_path / "unpacked", kvasir())
    arrange(small("kvasir-seg", 20), "kvasir-seg", [root], tmp_path / "data", may_link=True)
    shutil.rmtree(root)
    assert len(check_rows(read_manifest(tmp_path / "data/manifest.csv"))) == 20
