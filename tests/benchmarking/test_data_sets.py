"""The data sets of a benchmark: their groups, what they share, and images in several rows."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from promise_seg.benchmarking.results import found_in, pairs_of
from promise_seg.benchmarking.writing import write_all
from promise_seg.errors import ManifestError
from promise_seg.vocabulary import Split
from tests.benchmarking.small import MODELS, benchmark_of, run
from tests.files import write_dicom
from tests.helpers import write_dataset


def test_test_images_that_were_learned_from_are_refused(place):
    others = write_dataset(place / "others", ("test",) * 2, first=5)  # the first is a val image of discs
    data = {
        "discs": {"manifest": "discs/manifest.csv", "tests": ["discs", "others"]},
        "others": {"manifest": str(others), "train": False},
    }
    with pytest.raises(ManifestError, match=r"others/manifest\.csv:2: the test image .* is a val row of discs"):
        run(place, data=data)
    assert not (place / "out").exists()


def test_test_images_that_were_learned_from_are_refused_in_other_formats_too(place):
    others = write_dataset(place / "others", ("test",) * 2, first=5)
    for path in (place / "others/images").iterdir():
        Image.open(path).save(path.with_suffix(".tif"))
        path.unlink()
    others.write_text(re.sub(r"(images/\d)\.png", r"\1.tif", others.read_text()))
    data = {
        "discs": {"manifest": "discs/manifest.csv", "tests": ["discs", "others"]},
        "others": {"manifest": str(others), "train": False},
    }
    with pytest.raises(ManifestError, match=r"others/manifest\.csv:2: the test image .*0\.tif is a val row of discs"):
        run(place, data=data)


def test_groups_that_data_sets_share_are_noted(place):
    """For example, slides of one patient in the data sets of two hospitals."""
    others = write_dataset(place / "others", ("test",) * 4, first=50)
    others.write_text(re.sub(r",g\d+", ",p", others.read_text()).replace(",p\n", ",g0\n", 1))
    data = {
        "discs": {"manifest": "discs/manifest.csv", "tests": ["discs", "others"]},
        "others": {"manifest": str(others), "train": False},
    }
    assert benchmark_of(place, data=data).notes == [
        "discs: 1 group(s) of its train and val rows are also in the test set others, for example 'g0'; if they are "
        "the same patients or videos, its scores there are too optimistic"
    ]
    others.write_text(others.read_text().replace(",g0", ",other"))
    assert benchmark_of(place, data=data).notes == []


def test_patients_of_dicom_files_are_groups_of_a_benchmark(place):
    lines = ["image_name,train_type,mask_name"]
    for patient in range(4):
        for number in range(2):
            name = f"p{patient}-{number}"
            pixels = np.random.default_rng(2 * patient + number).integers(0, 400, (12, 10)).astype(np.uint16)
            write_dicom(place / f"{name}.dcm", pixels, PatientID=f"P{patient}")
            Image.fromarray(np.eye(12, 10, dtype=np.uint8) * 255).save(place / f"{name}.png")
            lines.append(f"{name}.dcm,{'train' if patient < 3 else 'test'},{name}.png")
    (place / "scans.csv").write_text("\n".join(lines))
    benchmark = benchmark_of(place, data={"scans": {"manifest": "scans.csv"}})
    rows = benchmark.data.manifests["scans"]
    groups = {split: {row.group for row in rows if row.split == split} for split in Split}
    assert [len(groups[split]) for split in Split] == [2, 1, 1]
    assert not groups[Split.TRAIN] & groups[Split.VAL]
    (note,) = benchmark.notes
    assert note.endswith("that their DICOM files name (8 rows in 4 groups)")


def test_groups_on_both_sides_are_said(place):
    path = place / "discs/manifest.csv"
    path.write_text(path.read_text().replace(",g4", ",g0"))
    benchmark, _ = run(place, models={"bare": {"variant": "sam"}})
    assert "discs: 1 group(s) have rows in train and in another split" in benchmark.notes[0]


@pytest.mark.slow
def test_lines_of_several_data_sams_and_protocols_stand_apart(place):
    write_dataset(place / "more", ("train",) * 4 + ("val",) * 2 + ("test",) * 2, first=50)
    shutil.copytree(place / "sam", place / "twin")
    data = {"discs": {"manifest": "discs/manifest.csv"}, "more": {"manifest": "more/manifest.csv"}}
    models = {
        "ours": {"variant": "ips"},
        "theirs": {"variant": "ips", "training": {"protocol": "reference", "epochs": 1}},
        "U-Net": {"variant": "unet", "epochs": 1},
    }
    benchmark, _ = run(place, data=data, sams=["sam", "twin"], models=models)
    found = found_in(benchmark)
    assert len(found) == 2 * 2 * 3
    assert {one.line.protocol for one in found} == {"own", "reference"}
    assert pairs_of(found, "dice") == []  # oracle against none, ours against theirs: nothing is alike
    write_all(benchmark, found, [], "spec.yaml")
    page = (place / "out/report.html").read_text()
    sizes = page.split("Mean Dice by object size")[1]
    for head in ("trained on", "SAM", "protocol", "tested on"):
        assert head in sizes.split("</thead>")[0]


def test_instance_maps_give_the_dice_of_objects(place):
    for path in (place / "discs/masks").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8) * 3).save(path)
    data = {"discs": {"manifest": "discs/manifest.csv", "instances": True}}
    benchmark, _ = run(place, data=data, models={"bare": {"variant": "sam"}, "U-Net": MODELS["U-Net"]},
                       measures=["dice", "average_precision"])  # fmt: skip
    bare, unet = found_in(benchmark)
    assert bare.object_dice() is not None
    assert unet.object_dice() is None
    assert "average_precision" in unet.values


def test_an_image_that_stands_in_two_rows_counts_twice(place):
    path = place / "discs/manifest.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1].replace("masks/9", "masks/8")]))
    benchmark, _ = run(place, models={"bare": {"variant": "sam"}})
    (found,) = found_in(benchmark)
    assert len(found.groups) == 5
    assert found.interval("dice").mean == pytest.approx(found.seed_means("dice")[0], abs=1e-6)
