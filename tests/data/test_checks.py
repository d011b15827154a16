import shutil

import numpy as np
import pytest
from PIL import Image

from promise_seg.data.checks import check_rows, divided_groups
from promise_seg.data.manifest import read_manifest
from promise_seg.data.reading import make_reading
from promise_seg.errors import ManifestError
from tests.helpers import write_dataset


def test_a_sound_data_set(checked):
    assert len(checked) == 10
    assert (checked[0].height, checked[0].width) == (30, 40)
    assert checked[0].foreground_pixels == checked[0].mask().sum() > 0


def test_every_problem_is_reported_at_once(manifest):
    folder = manifest.parent
    (folder / "images/0.png").unlink()
    (folder / "images/1.png").write_bytes((folder / "images/1.png").read_bytes()[:900])
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "masks/2.png")
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)).save(folder / "masks/3.png")
    (folder / "masks/4.png").write_text("no image")
    shutil.copy(folder / "images/8.png", folder / "images/5.png")
    with pytest.raises(ManifestError) as caught:
        check_rows(read_manifest(manifest))
    lines = str(caught.value).splitlines()
    assert lines[0] == "6 problems:"
    for line, (number, words) in zip(
        lines[1:],
        [(2, "no such file"), (3, "truncated"), (4, "same size"), (5, "two values"), (6, "not an image"),
         (7, "also stands in test")],
        strict=True,
    ):  # fmt: skip
        assert line.startswith(f"{manifest}:{number}:")
        assert words in line


def test_an_empty_mask_is_no_problem(manifest):
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(manifest.parent / "masks/0.png")
    assert check_rows(read_manifest(manifest))[0].foreground_pixels == 0


def test_a_threshold_admits_grey_masks(manifest):
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)).save(manifest.parent / "masks/3.png")
    rows = check_rows(read_manifest(manifest), make_reading(mask_threshold=127))
    assert rows[3].mask().any()


def test_divided_groups_are_found(tmp_path):
    rows = read_manifest(write_dataset(tmp_path, ("train", "val", "train", "train", "test")))
    assert divided_groups(rows) == ["g0"]
