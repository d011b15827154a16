import numpy as np
import pytest

from promise_seg.images.sheets import GAP, TILE_SIDE, contact_sheet, outlined


def test_tiles_of_any_size_are_fitted_into_squares():
    tiles = [np.full((10, 40, 3), 200, np.uint8), np.full((900, 300, 3), 90, np.uint8), np.zeros((1, 1, 3), np.uint8)]
    sheet = contact_sheet(tiles, ["a", "b" * 99, "ü"])
    assert sheet.shape == (2 * TILE_SIDE + GAP, 2 * TILE_SIDE + GAP, 3)
    assert sheet[TILE_SIDE // 2, TILE_SIDE // 2].tolist() == [200] * 3
    assert sheet[TILE_SIDE // 2, TILE_SIDE + GAP + TILE_SIDE // 2].tolist() == [90] * 3
    assert sheet[40, 40].tolist() == sheet[-40, -40].tolist()  # nothing beside a wide tile, and no fourth tile


def test_captions_are_written():
    blank = contact_sheet([np.full((64, 64, 3), 100, np.uint8)], [""])
    named = contact_sheet([np.full((64, 64, 3), 100, np.uint8)], ["train 7.png"])
    changed = (blank != named).any(2)
    assert changed[:24].any()
    assert not changed[24:].any()


def test_outlines_follow_the_masks_and_leave_the_image_alone():
    image, masks = np.zeros((50, 60, 3), np.uint8), [np.zeros((50, 60), bool) for _ in range(2)]
    masks[0][10:20, 10:20], masks[1][30:40, 30:50] = True, True
    picture = outlined(image, masks)
    assert not image.any()
    drawn = picture.any(2)
    assert drawn[10, 10:20].all()
    assert drawn[30, 30:50].all()
    assert not drawn[15, 15]
    assert picture[10, 12].tolist() != picture[30, 35].tolist()


def test_a_class_has_one_colour_and_its_number_in_every_picture():
    image, mask = np.zeros((200, 200, 3), np.uint8), np.zeros((200, 200), bool)
    mask[10:190, 10:190] = True
    second, first = outlined(image, [mask], [2]), outlined(image, [mask], [1])
    both = outlined(image, [np.roll(mask, 3), mask], [1, 2])
    assert second[10, 50].tolist() == both[10, 50].tolist() != first[10, 50].tolist()
    assert second[80:120, 80:120].any()  # the number
    assert not outlined(image, [mask])[80:120, 80:120].any()


def test_nothing_makes_no_sheet():
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], [])
