import numpy as np
import pytest
from PIL import Image

from promise_seg.data.masks import MaskRule
from promise_seg.data.readers import read_image, read_mask
from promise_seg.errors import ImageError


def save(path, array, mode=None):
    Image.fromarray(array, mode).save(path)
    return path


def test_colour_grey_alpha_and_deep_images_become_rgb(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (5, 6, 3)).astype(np.uint8)
    assert np.array_equal(read_image(save(tmp_path / "c.png", rgb)), rgb)
    grey = read_image(save(tmp_path / "g.png", rgb[..., 0]))
    assert np.array_equal(grey, np.repeat(rgb[..., :1], 3, 2))
    alpha = np.concatenate([rgb, np.full((5, 6, 1), 9, np.uint8)], 2)
    assert np.array_equal(read_image(save(tmp_path / "a.png", alpha)), rgb)
    deep = np.array([[1000, 1500], [2000, 3000]], np.uint16)
    assert read_image(save(tmp_path / "d.png", deep))[..., 0].tolist() == [[0, 64], [128, 255]]


@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_any_one_value(tmp_path, value):
    mask = np.array([[0, 1], [1, 0]], bool)
    assert np.array_equal(read_mask(save(tmp_path / "m.png", mask.astype(np.uint8) * value)), mask)


def test_palette_and_bilevel_masks(tmp_path):
    mask = np.array([[0, 1], [1, 0]], np.uint8)
    palette = Image.fromarray(mask, "P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_mask(tmp_path / "p.png"), mask > 0)
    assert np.array_equal(read_mask(save(tmp_path / "b.png", mask > 0)), mask > 0)


def test_an_empty_mask_is_fine(tmp_path):
    assert not read_mask(save(tmp_path / "m.png", np.zeros((3, 3), np.uint8))).any()


def test_grey_values_need_a_threshold(tmp_path):
    path = save(tmp_path / "m.png", np.array([[0, 100], [200, 255]], np.uint8))
    with pytest.raises(ImageError, match=r"m\.png: a mask must have two values.*--mask-threshold"):
        read_mask(path)
    assert read_mask(path, MaskRule(threshold=127)).tolist() == [[False, False], [True, True]]


def test_missing_truncated_and_foreign_files(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")
    whole = save(tmp_path / "w.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))
    (tmp_path / "t.png").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"t\.png: damaged or truncated"):
        read_image(tmp_path / "t.png")
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(ImageError, match=r"x\.png: not an image"):
        read_image(tmp_path / "x.png")
