"""The program of an export reads, resizes and places images as we do."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

import predict_frames
from promise_seg.images.borders import content_box
from promise_seg.images.geometry import Box, Geometry, resize
from promise_seg.vocabulary import Fit


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (200, 30), (128, 256), (1, 7)])
def test_its_resizing_is_ours_up_to_a_grey_level(size):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    found, wanted = predict_frames.resize_pixels(pixels, *size), resize(pixels, *size)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 2  # one for each of two steps


@pytest.mark.parametrize("crop", [None, (5, 3, 60, 40)])
@pytest.mark.parametrize("fit", Fit)
def test_its_frames_are_ours(fit, crop):
    ours = Geometry(48, 70, 32, fit, None if crop is None else Box(*crop))
    its = predict_frames.Frame(48, 70, 32, str(fit), None if crop is None else predict_frames.Box(*crop))
    rng = np.random.default_rng(0)
    pixels, points = rng.integers(0, 256, (48, 70, 3)).astype(np.uint8), rng.random((5, 2)) * 40
    assert np.abs(its.image_to_model(pixels).astype(int) - ours.image_to_model(pixels)).max() <= 2
    np.testing.assert_allclose(its.points_to_model(points), ours.points_to_model(points), atol=1e-4)
    logits = rng.normal(size=(16, 16)).astype(np.float32)
    wanted = ours.logits_to_image(torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(its.logits_to_image(logits), wanted, atol=1e-4)


def test_its_border_is_ours():
    pixels = np.zeros((40, 50, 3), np.uint8)
    assert predict_frames.content_box(pixels) is None is content_box(pixels)
    pixels[6:30, 9:44] = 90
    assert tuple(predict_frames.content_box(pixels)) == tuple(content_box(pixels))


@pytest.mark.parametrize("values", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_of_more_than_8_bits_are_refused(tmp_path, values, channels):
    suffix, pixels = (".png" if values == np.uint16 else ".tif"), np.full((6, 8, channels), 300, values)
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), pixels)
    with pytest.raises(
        (ValueError, UnidentifiedImageError), match=r"more than 8 bits a value: give 8-bit|cannot identify"
    ):
        predict_frames.read_file(tmp_path / f"deep{suffix}", {"window": "own"})


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_files_of_8_bits_are_read_as_rgb(tmp_path, mode):
    file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new(mode, (8, 6)).save(file)
    found = predict_frames.read_file(file, {"window": "own"})
    assert (found.shape, found.dtype) == ((6, 8, 3), np.uint8)


def test_files_are_refused_where_values_need_a_window(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="reads files with window lung: give 8-bit RGB pixels"):
        predict_frames.read_file(tmp_path / "a.png", {"window": "lung"})


@pytest.mark.parametrize("orientation", range(2, 9))
def test_images_are_turned_as_pillow_does(orientation):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(np.asarray(predict_frames.upright(image)), expected)


@pytest.mark.parametrize("orientation", [None, 6, 9])
def test_images_are_turned_as_their_exif_says_if_it_can_be_parsed(tmp_path, orientation):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation or 1
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=b"Exif\0\0garbage" if orientation is None else exif)
    found = predict_frames.read_file(tmp_path / "a.png", {"window": "own"})
    np.testing.assert_array_equal(found, np.rot90(pixels, -1) if orientation == 6 else pixels)
