"""Warnings about images and groups that are in several splits."""

import re

import numpy as np
import pytest
from PIL import Image

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.manifest import read_manifest
from promise_seg.dataset.split_warnings import divided_groups, divided_warning, same_pixels_warning
from tests.helpers import write_dataset


def test_divided_groups_are_found(tmp_path):
    rows = read_manifest(write_dataset(tmp_path, ("train", "val", "train", "train", "test")))
    assert divided_groups(rows) == ["g0"]


def test_groups_in_val_and_test_are_divided_too(tmp_path):
    rows = read_manifest(write_dataset(tmp_path, ("train", "train", "val", "test")))
    assert divided_groups(rows) == ["g1"]
    assert "1 group(s) have rows in val and in test, for example 'g1'" in divided_warning(rows)
    rows = read_manifest(write_dataset(tmp_path, ("train", "val", "val", "test")))
    assert re.search(r"in train and in another split, for example 'g0'.*\. 1 group\(s\) .*'g1'", divided_warning(rows))


def _saved_again(folder, form):
    """Two train images and a test image, which is the first one in another file."""
    path = write_dataset(folder, ("train",) * 2 + ("test",) * 2)
    image = Image.open(folder / "images/0.png").convert("RGB")
    name = {"RGBA": "2.png", "L": "2.png"}.get(form, f"2.{form}")
    if form == "L":
        image = image.convert("L").convert("RGB")
        image.save(folder / "images/0.png")
    changed = image.convert(form) if form in ("RGBA", "L") else image
    changed.save(folder / "images" / name)
    path.write_text(path.read_text().replace("images/2.png", f"images/{name}"))
    return path


@pytest.mark.parametrize("form", ["bmp", "tif", "RGBA", "L"])
def test_an_image_that_was_saved_again_without_loss_is_in_both_splits(tmp_path, form):
    path = _saved_again(tmp_path, form)
    (warning,) = Dataset.from_csv(path).warnings
    assert re.match(rf"1 image\(s\) have the same pixels .* in test \({path}:4\) and .* in train \({path}:2\)", warning)


def test_images_of_one_value_are_not_the_same_image(tmp_path):
    """The first and last slices of volumes are often black."""
    path = write_dataset(tmp_path, ("train",) * 2 + ("test",) * 2)
    for number, suffix in ((0, "png"), (2, "bmp")):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / f"images/{number}.{suffix}")
    path.write_text(path.read_text().replace("images/2.png", "images/2.bmp"))
    rows = check_rows(read_manifest(path))
    assert same_pixels_warning(rows) is None
