"""Tiles: they cover an image without a gap, and what is put together of them has no seam."""

import itertools

import numpy as np
import pytest

from promise_seg.errors import SettingsError
from promise_seg.images.geometry import Box
from promise_seg.images.tiles import Tiling, blended, make_tiling, ramp

PARTS = [Box(0, 0, 100, 70), Box(5, 7, 300, 207), Box(0, 0, 65, 200), Box(3, 0, 67, 64), Box(0, 0, 176, 40)]
TILINGS = [Tiling(side=64, overlap=16), Tiling(side=64, overlap=32), Tiling(side=40, overlap=0)]


@pytest.mark.parametrize(("kept", "tiling"), list(itertools.product(PARTS, TILINGS)))
def test_tiles_cover_a_part_of_an_image_and_overlap_as_far_as_is_asked_for(kept, tiling):
    seen = np.zeros((kept.bottom, kept.right), int)
    grid = tiling.grid(kept)
    for box in itertools.chain(*grid):
        assert kept.left <= box.left < box.right <= kept.right
        assert kept.top <= box.top < box.bottom <= kept.bottom
        assert box.right - box.left == min(tiling.side, kept.right - kept.left)
        seen[box.top : box.bottom, box.left : box.right] += 1
    assert seen[kept.top :, kept.left :].min() == 1
    assert seen.sum() == seen[kept.top :, kept.left :].sum()
    for left, right in itertools.pairwise(grid[0]):
        assert left.right - right.left >= tiling.overlap
    assert tiling.divides(kept) == (len(grid) * len(grid[0]) > 1)


def together(kept, tiling, probs_of):
    whole = np.full((kept.bottom, kept.right), np.nan, np.float32)
    for box, strip in blended(tiling.grid(kept), tiling.overlap, probs_of):
        whole[box.top : box.bottom, box.left : box.right] = strip[0]
    return whole[kept.top :, kept.left :]


@pytest.mark.parametrize(("kept", "tiling"), list(itertools.product(PARTS, TILINGS)))
def test_what_is_the_same_in_all_tiles_is_the_same_in_the_image(kept, tiling):
    rng = np.random.default_rng(0)
    image = rng.random((kept.bottom, kept.right)).astype(np.float32)
    constant = together(kept, tiling, lambda box: np.full((1, box.bottom - box.top, box.right - box.left), 0.3))
    assert np.allclose(constant, 0.3, atol=1e-6)
    drawn = together(kept, tiling, lambda box: image[None, box.top : box.bottom, box.left : box.right])
    assert np.allclose(drawn, image[kept.top :, kept.left :], atol=1e-6)


def test_where_tiles_disagree_one_fades_into_the_other():
    """Neighbouring pixels never differ by more than the slope of the window, although the tiles differ by 1."""
    kept, tiling = Box(0, 0, 112, 64), Tiling(side=64, overlap=16)
    found = together(kept, tiling, lambda box: np.full((1, 64, 64), float(box.left > 0)))
    assert (found[:, :48] == 0).all()
    assert (found[:, 64:] == 1).all()
    assert 0 < np.abs(np.diff(found, axis=1)).max() < np.pi / 2 / 16
    assert (np.diff(found, axis=1) >= 0).all()


def test_windows_of_neighbours_add_up_to_one():
    assert np.allclose(ramp(64, 16, rises=False, falls=True)[48:] + ramp(64, 16, rises=True, falls=False)[:16], 1)
    assert (ramp(8, 16, rises=True, falls=True) > 0).all()


def test_strips_come_as_soon_as_no_tile_is_missing_and_are_never_higher_than_a_tile():
    kept, tiling = Box(0, 0, 64, 1000), Tiling(side=64, overlap=16)
    asked: list[Box] = []

    def probs_of(box):
        asked.append(box)
        return np.zeros((2, 64, 64), np.float32)

    bottom = 0
    for box, strip in blended(tiling.grid(kept), tiling.overlap, probs_of):
        assert strip.shape == (2, box.bottom - box.top, 64)
        assert box.top == bottom
        assert box.bottom - box.top <= tiling.side
        assert asked[-1].top <= box.bottom
        bottom = box.bottom
    assert bottom == 1000


@pytest.mark.parametrize(
    ("side", "overlap", "words"),
    [(8, None, "--tile 8: expected auto, none or the side of a tile in pixels, from 16"),
     (64, 64, "--overlap 64: expected 0 to 32 pixels, half of a tile of 64 px"), (64, -1, "--overlap -1: expected 0")],
)  # fmt: skip
def test_impossible_tiles(side, overlap, words):
    with pytest.raises(SettingsError, match=words):
        make_tiling(side, overlap)


def test_without_an_overlap_a_quarter_is_shared():
    assert make_tiling(100, None) == Tiling(side=100, overlap=25)
