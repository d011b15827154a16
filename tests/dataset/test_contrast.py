"""Dark images are noticed, and a window is named that stretches their contrast."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.contrast import Contrasts
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.reading import make_reading
from tests.files import write_nifti
from tests.helpers import write_dataset


@pytest.fixture
def manifest(tmp_path):
    """Ten images of 30 x 40 pixels, whose grey levels span 200 levels."""
    manifest = write_dataset(tmp_path, ("train",) * 10)
    for row in read_manifest(manifest):
        write(row.image, 200)
    return manifest


def write(path, span):
    """Write an image whose grey levels rise from 10 to 10 + span from the left to the right."""
    grey = np.tile(np.linspace(10, 10 + span, 40).astype(np.uint8), (30, 1))
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(path)


def advice(manifest, **options):
    contrasts = Contrasts()
    for row in check_rows(read_manifest(manifest), make_reading(**options)):
        contrasts.add(row, row.image())
    return contrasts.advice()


def test_nothing_is_said_of_images_of_good_contrast(manifest):
    assert advice(manifest) is None


def test_one_dark_image_in_ten_is_enough(manifest):
    first = read_manifest(manifest)[3].image
    write(first, 30)
    words = advice(manifest)
    start = "low contrast: 1 of 10 images use less than a quarter of the 256 grey levels"
    assert words.startswith(f"{start} (first {first}: 30)")
    assert "Try --window percentile:0,100" in words


def test_neither_blank_images_nor_a_rare_dark_one_count(manifest, tmp_path):
    write(read_manifest(manifest)[3].image, 0)
    assert advice(manifest) is None
    more = write_dataset(tmp_path / "more", ("train",) * 11)
    for number, row in enumerate(read_manifest(more)):
        write(row.image, 200 if number else 30)
    assert advice(more) is None


def test_images_that_are_stretched_already_are_not_measured(manifest):
    for row in read_manifest(manifest):
        write(row.image, 30)
    assert advice(manifest) is not None
    assert advice(manifest, window="percentile") is None


def test_a_volume_is_measured_as_a_whole(tmp_path):
    values = np.zeros((20, 20, 8), np.int16)
    values[5:15, 5:15, 3:5] = np.linspace(100, 1000, 200).reshape(10, 10, 2)
    write_nifti(tmp_path / "ct.nii.gz", values)
    write_nifti(tmp_path / "mask.nii.gz", (values > 0).astype(np.uint8))
    (tmp_path / "data.csv").write_text("image_name,train_type,mask_name\nct.nii.gz,train,mask.nii.gz\n")
    assert advice(tmp_path / "data.csv") is None  # most slices are black, as at the ends of any volume
