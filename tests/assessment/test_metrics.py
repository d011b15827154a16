import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from promise_seg.assessment.metrics import mean_scores, score_mask

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=9)
"""Single rows, columns and pixels among them."""
MOVES = {"left-right": np.fliplr, "up-down": np.flipud, "transposed": np.transpose}


@st.composite
def two_masks(draw):
    shape = draw(SHAPES)
    return draw(arrays(bool, shape)), draw(arrays(bool, shape))


@st.composite
def probs_and_truth(draw):
    shape = draw(SHAPES)
    return draw(arrays(np.float32, shape, elements=st.floats(0, 1, width=32))), draw(arrays(bool, shape))


def of_masks(one, other):
    return score_mask(one.astype(np.float32), other)


def probs(rows):
    return np.array(rows, np.float32)


def test_by_hand():
    scores = score_mask(probs([[0.9, 0.9], [0.1, 0.6]]), np.array([[True, False], [True, True]]))
    assert scores.precision == pytest.approx(2 / 3)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.dice == pytest.approx(2 / 3)
    assert scores.iou == pytest.approx(0.5)
    assert scores.mae == pytest.approx((0.1 + 0.9 + 0.9 + 0.4) / 4)


def test_exactly_half_is_background():
    assert score_mask(probs([[0.5]]), np.array([[True]])).dice == 0


def test_nothing_there_and_nothing_found_is_perfect():
    scores = score_mask(probs([[0.0, 0.0]]), np.array([[False, False]]))
    assert (scores.dice, scores.iou, scores.precision, scores.recall, scores.mae) == (1, 1, 1, 1, 0)


def test_nothing_there_but_something_found():
    scores = score_mask(probs([[1.0, 0.0]]), np.array([[False, False]]))
    assert (scores.dice, scores.iou, scores.precision, scores.recall) == (0, 0, 0, 1)


def test_something_there_but_nothing_found():
    scores = score_mask(probs([[0.0, 0.0]]), np.array([[True, False]]))
    assert (scores.dice, scores.iou, scores.precision, scores.recall) == (0, 0, 0, 0)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="prediction is"):
        score_mask(probs([[0.0]]), np.zeros((2, 2), bool))


def test_the_mean_counts_each_image_once():
    one = score_mask(probs([[1.0]]), np.array([[True]]))
    zero = score_mask(probs([[0.0]]), np.array([[True]]))
    assert mean_scores([one, zero, zero, zero]).dice == 0.25


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@given(both=probs_and_truth())
@settings(max_examples=60, deadline=None)
def test_mirrors_and_transposing_change_nothing(move, both):
    found, moved = (vars(score_mask(p, t)) for p, t in (both, tuple(move(one) for one in both)))
    assert moved == pytest.approx(found, abs=1e-6)


@given(two_masks())
@settings(max_examples=100, deadline=None)
def test_a_swap_exchanges_precision_and_recall_and_nothing_else(masks):
    """But where just one is empty: the rule for nothing is not about both alike."""
    one, other = masks
    found, swapped = of_masks(one, other), of_masks(other, one)
    assert (found.dice, found.iou, found.mae) == (swapped.dice, swapped.iou, swapped.mae)
    if one.any() == other.any():
        assert (found.precision, found.recall) == (swapped.recall, swapped.precision)


@given(probs_and_truth())
@settings(max_examples=100, deadline=None)
def test_all_are_within_0_and_1_and_dice_follows_from_iou(both):
    found = score_mask(*both)
    assert all(0 <= value <= 1 for value in vars(found).values())
    assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))
    if found.precision and found.recall:
        assert found.dice == pytest.approx(2 / (1 / found.precision + 1 / found.recall))


@given(SHAPES.flatmap(lambda shape: arrays(bool, shape)))
@settings(max_examples=60, deadline=None)
def test_a_mask_and_itself_and_the_full_mask(mask):
    assert vars(of_masks(mask, mask)) == {"dice": 1, "iou": 1, "mae": 0, "precision": 1, "recall": 1}
    share, full = float(mask.mean()), of_masks(np.ones_like(mask), mask)
    expected = {"dice": 2 * share / (1 + share), "iou": share, "mae": 1 - share, "precision": share, "recall": 1}
    assert vars(full) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([[1]], [[1]], (1, 1, 0, 1, 1)),
        ([[0]], [[0]], (1, 1, 0, 1, 1)),
        ([[1]], [[0]], (0, 0, 1, 0, 1)),
        ([[0]], [[1]], (0, 0, 1, 0, 0)),
        ([[1, 1, 1, 0, 0]], [[0, 1, 1, 1, 0]], (4 / 6, 2 / 4, 2 / 5, 2 / 3, 2 / 3)),
        ([[1, 1, 0, 0]], [[0, 1, 1, 1]], (2 / 5, 1 / 4, 3 / 4, 1 / 2, 1 / 3)),
        ([[1, 1], [1, 1]], [[1, 0], [0, 0]], (2 / 5, 1 / 4, 3 / 4, 1 / 4, 1)),
        ([[1, 0], [0, 0]], [[1, 1], [1, 1]], (2 / 5, 1 / 4, 3 / 4, 1, 1 / 4)),
        ([[1, 0], [0, 1]], [[0, 1], [1, 0]], (0, 0, 1, 0, 0)),
    ],
)
def test_tiny_masks_by_hand(found, truth, expected):
    scores = of_masks(np.array(found, bool), np.array(truth, bool))
    assert (scores.dice, scores.iou, scores.mae, scores.precision, scores.recall) == pytest.approx(expected)
