import numpy as np
import pytest

from promise_seg.augmentation import view_of
from promise_seg.augmentation.sheet import augmentation_sheet
from promise_seg.images.sheets import GAP, OUTLINE_COLOURS, TILE_SIDE
from promise_seg.vocabulary import Recipe
from tests.helpers import disc_image

SHA = "ab" * 32


def tile(sheet, row, column):
    step = TILE_SIDE + GAP
    return sheet[row * step : row * step + TILE_SIDE, column * step : column * step + TILE_SIDE]


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (5, 2, 3), (9, 3, 3)])
def test_a_sheet_is_as_large_as_its_views_need(count, rows, columns):
    image, mask = disc_image(0, 64, 64)
    sheet = augmentation_sheet(image, mask, SHA, Recipe.OWN, count)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (rows * TILE_SIDE + (rows - 1) * GAP, columns * TILE_SIDE + (columns - 1) * GAP, 3)


@pytest.mark.parametrize("recipe", [Recipe.OWN, Recipe.LIGHT])
def test_tiles_show_the_views_with_outline_and_number(recipe):
    image, mask = disc_image(0, 64, 64)
    sheet = augmentation_sheet(image, mask, SHA, recipe, 5)
    for number in range(5):
        shown = tile(sheet, number // 3, number % 3)
        view = view_of(SHA, number, recipe)
        seen = np.kron(view.apply_to_image(image), np.ones((4, 4, 1), np.uint8))
        outlined = (shown == OUTLINE_COLOURS[0]).all(2)
        inside = np.kron(view.apply_to_mask(mask), np.ones((4, 4), bool))
        assert outlined.sum() > 60
        assert inside[outlined].all()
        rest = ~outlined
        rest[:24] = False  # the number
        assert np.array_equal(shown[rest], seen[rest])
        assert (shown[:24, :40] >= 170).all(2).any()
    assert len(np.unique(tile(sheet, 1, 2))) == 1  # no sixth view
    numbers = [tile(sheet, n // 3, n % 3)[:26, :30] for n in range(2)]
    assert not np.array_equal(*numbers)


def test_large_images_are_shrunk():
    image, mask = disc_image(0, 512, 512)
    sheet = augmentation_sheet(image, mask, SHA, Recipe.NONE, 4)
    assert sheet.shape == (2 * TILE_SIDE + GAP, 2 * TILE_SIDE + GAP, 3)
    assert np.array_equal(tile(sheet, 0, 0)[40:], tile(sheet, 1, 1)[40:])


def test_what_cannot_be_shown():
    image, mask = disc_image(0, 64, 64)
    with pytest.raises(ValueError, match="at least 1"):
        augmentation_sheet(image, mask, SHA, Recipe.OWN, 0)
    with pytest.raises(ValueError, match="square"):
        augmentation_sheet(image[:32], mask[:32], SHA, Recipe.OWN, 4)


def test_each_view_is_finished():
    image, mask = np.full((8, 8, 3), 99, np.uint8), np.zeros((8, 8), bool)
    sheet = augmentation_sheet(
        image, mask, SHA, Recipe.OWN, 1, finish=lambda view: view * np.array([1, 1, 0], np.uint8)
    )
    assert 99 in sheet[..., 0]
    assert 99 not in sheet[..., 2]
