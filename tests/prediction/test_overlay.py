import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import ImageError, SettingsError
from promise_seg.prediction.overlay import BACKGROUND_COLOUR, FOREGROUND_COLOUR, draw_overlay
from promise_seg.prediction.prediction import Prediction
from tests.helpers import disc_image


def test_mask_and_points_are_where_they_belong():
    image = np.full((60, 80, 3), 100, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:50, 10:40] = True
    points = np.array([[30.2, 35.0], [70.0, 8.0]], np.float32)
    picture = draw_overlay(image, mask, points, np.array([1, 0]))
    assert tuple(picture[35, 30]) == FOREGROUND_COLOUR
    assert tuple(picture[8, 70]) == BACKGROUND_COLOUR
    assert (picture[25, 15] != 100).any()
    assert (picture[55, 60] == 100).all()
    assert (image == 100).all()


def test_a_box_is_where_it_belongs():
    image = np.full((80, 80, 3), 100, np.uint8)
    picture = draw_overlay(image, np.zeros((80, 80), bool), boxes_xyxy_image=np.array([[10, 5, 60, 20]], np.float32))
    for row, column in ((5, 30), (20, 30), (12, 10), (12, 60)):
        red, green, blue = picture[row, column].tolist()
        assert green > max(red, blue) + 100  # as FOREGROUND_COLOUR, with soft edges
    assert (picture[12, 30] == 100).all()
    assert (picture[30, 5] == 100).all()
    assert (picture[30:] == 100).all()


def prediction(mask):
    nothing = np.zeros((0, 2), np.float32)
    return Prediction(mask, mask.astype(np.float32), nothing, np.zeros(0, np.int64), 0.5)


def test_a_prediction_is_drawn_on_files_pixels_and_images(tmp_path):
    """A path or an image of PIL once ended in an error of Python's."""
    pixels, grey = disc_image(0)[0], np.full((30, 40), 90, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = prediction(disc_image(0)[1])
    expected = found.overlay(pixels)
    assert np.array_equal(found.overlay(tmp_path / "a.png"), expected)
    assert np.array_equal(found.overlay(Image.fromarray(pixels)), expected)
    assert np.array_equal(found.overlay(grey), found.overlay(np.stack([grey] * 3, -1)))


def test_an_image_of_another_size_is_refused():
    found = prediction(np.zeros((30, 40), bool))
    with pytest.raises(SettingsError, match="the image is 41 x 30 pixels, and the mask 40 x 30"):
        found.overlay(np.zeros((30, 41, 3), np.uint8))
    with pytest.raises(ImageError, match="uint8"):
        found.overlay(np.zeros((30, 40, 3)))
