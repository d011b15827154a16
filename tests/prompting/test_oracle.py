import numpy as np
import pytest

from promise_seg.prompting.oracle import boxes_around, oracle_box, oracle_points, points_in_masks


@pytest.fixture
def mask():
    mask = np.zeros((20, 30), bool)
    mask[5:9, 10:20] = True
    return mask


def test_points_lie_on_what_their_labels_say(mask):
    points, labels = oracle_points(mask, 16, np.random.default_rng(0))
    at = mask[points[:, 1].astype(int), points[:, 0].astype(int)]
    assert labels.tolist() == [1] * 8 + [0] * 8
    assert at.tolist() == [True] * 8 + [False] * 8


def test_one_point_is_foreground(mask):
    assert oracle_points(mask, 1, np.random.default_rng(0))[1].tolist() == [1]


def test_empty_and_full_masks_give_what_there_is(mask):
    rng = np.random.default_rng(0)
    assert oracle_points(np.zeros_like(mask), 6, rng)[1].tolist() == [0] * 6
    assert oracle_points(np.ones_like(mask), 6, rng)[1].tolist() == [1] * 6


def test_a_seed_repeats_itself(mask):
    first, again = (oracle_points(mask, 16, np.random.default_rng(4))[0] for _ in range(2))
    other = oracle_points(mask, 16, np.random.default_rng(5))[0]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_box_names_the_first_and_last_pixels(mask):
    assert oracle_box(mask).tolist() == [10, 5, 19, 8]
    assert oracle_box(np.zeros_like(mask)).tolist() == [0, 0, 0, 0]


def test_several_masks_get_what_each_gets_by_itself(mask):
    masks = [mask, mask[::-1], np.zeros_like(mask)]
    points, labels = points_in_masks(masks, 6, [np.random.default_rng(seed) for seed in range(3)])
    for number, one in enumerate(masks):
        alone = oracle_points(one, 6, np.random.default_rng(number))
        assert np.array_equal(points[number], alone[0])
        assert np.array_equal(labels[number], alone[1])
        assert np.array_equal(boxes_around(masks)[number], oracle_box(one))
