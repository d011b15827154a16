import numpy as np
import pytest

from promise_seg.augmentation.windows import CELLS, Window, draw_window


@pytest.mark.parametrize("side", [32, 128, 320, 100])
def test_a_window_is_the_same_place_at_each_size_and_nothing_else_changes(side):
    window = Window(left=8, top=16, width=12)
    onto, source = np.zeros((side, side, 3), np.uint8), np.full((side, side, 3), 7, np.uint8)
    pasted = window.paste(onto, source)
    rows, columns = np.nonzero(pasted[..., 0])
    expected = np.round(np.array([16, 28, 8, 20]) * side / CELLS)
    assert [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1] == expected.tolist()
    assert (pasted == 7).sum() == 3 * (expected[1] - expected[0]) * (expected[3] - expected[2])
    assert not onto.any()
    assert window.paste(onto[..., 0] > 0, source[..., 0] > 0).dtype == bool


def test_windows_lie_within_the_frame_and_differ():
    windows = [draw_window(np.random.default_rng(seed)) for seed in range(200)]
    assert all(0 <= w.left <= CELLS - w.width and 0 <= w.top <= CELLS - w.width for w in windows)
    shares = [(w.width / CELLS) ** 2 for w in windows]
    assert 0.08 < min(shares) < 0.2
    assert 0.5 < max(shares) < 0.65
    assert draw_window(np.random.default_rng(3)) == windows[3]
    assert len(set(windows)) > 150
