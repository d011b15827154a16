import numpy as np
import pytest
from PIL import Image

from promise_seg.curation.sets.mask_pictures import read_binary_mask
from promise_seg.errors import ImageError
from tests.curation.sets.helpers import encoded, mask

HALF = np.repeat([[0] * 6 + [255] * 6], 8, 0).astype(np.uint8)


def read(tmp_path, content, suffix=".png"):
    path = tmp_path / f"mask{suffix}"
    path.write_bytes(content)
    return read_binary_mask(path)


@pytest.mark.parametrize("foreground", [1, 38, 255])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_two_values_are_kept_whatever_the_second_is(tmp_path, foreground, colour, suffix):
    found = read(tmp_path, mask(suffix, foreground, colour), suffix)
    np.testing.assert_array_equal(found.pixels, HALF)
    assert not found.was_cut


def test_greys_are_cut_at_127(tmp_path):
    found = read(tmp_path, encoded(np.array([[0, 1, 127, 128, 254, 255]], np.uint8), ".png"))
    assert found.pixels.tolist() == [[0, 0, 0, 255, 255, 255]]
    assert found.was_cut


def test_jpeg_noise_on_an_empty_mask_is_no_foreground(tmp_path):
    found = read(tmp_path, encoded(np.full((8, 8), 2, np.uint8), ".jpg"), ".jpg")
    assert not found.pixels.any()
    assert found.was_cut


def test_a_jpeg_mask(tmp_path):
    found = read(tmp_path, mask(".jpg", 250, colour=True), ".jpg")
    np.testing.assert_array_equal(found.pixels, HALF)
    assert found.was_cut


def test_black_and_white_and_palettes(tmp_path):
    for mode in ("1", "P"):
        Image.fromarray(HALF).convert(mode).save(tmp_path / "mask.png")
        np.testing.assert_array_equal(read_binary_mask(tmp_path / "mask.png").pixels, HALF)


def test_what_is_no_picture(tmp_path):
    with pytest.raises(ImageError, match=r"mask\.png: not a readable image"):
        read(tmp_path, b"text")
    with pytest.raises(ImageError, match=r"mask\.png: damaged"):
        read(tmp_path, mask()[:-30])
