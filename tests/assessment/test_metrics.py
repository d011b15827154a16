import numpy as np
import pytest

from promise_seg.assessment.metrics import mean_scores, score_mask


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
