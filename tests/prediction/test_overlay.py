import numpy as np

from promise_seg.prediction.overlay import BACKGROUND_COLOUR, FOREGROUND_COLOUR, draw_overlay


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
