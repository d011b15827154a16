"""When an image is said to hold nothing."""

import numpy as np
import pytest

from promise_seg.assessment.thresholds import LEAST_GAIN, best_threshold, is_worthwhile, sensitivity_plus_specificity


@pytest.mark.parametrize(
    ("scores", "truth", "threshold"),
    [
        ([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1], 0.45),
        ([0.9, 0.2], [1, 0], 0.55),
        ([0.1, 0.4, 0.3, 0.9], [0, 0, 1, 1], 0.2),  # as good as 0.65, which would miss an object
        ([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0], 0.1),  # the wrong way round: nothing is missed
        ([0.5, 0.5], [1, 0], 0.5),  # cannot be told apart: nothing is missed
    ],
)
def test_the_threshold_divides_best_and_misses_least(scores, truth, threshold):
    assert best_threshold(np.array(scores), np.array(truth, bool)) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("nothing_here", "total"),
    [
        ([1, 1, 0, 0, 0, 0], 2.0),
        ([1, 0, 0, 0, 0, 0], 1.5),  # a false alarm, of two images without an object
        ([1, 1, 1, 0, 0, 0], 1.75),  # a miss, of four images with one
        ([1, 1, 1, 1, 1, 1], 1.0),
        ([0, 0, 1, 1, 1, 1], 0.0),
    ],
)
def test_either_kind_of_image_counts_the_same_however_many_there_are(nothing_here, total):
    has_object = np.array([0, 0, 1, 1, 1, 1], bool)
    assert sensitivity_plus_specificity(np.array(nothing_here, bool), has_object) == pytest.approx(total)


@pytest.mark.parametrize(
    ("with_object", "without", "least"),
    [(1000, 1000, LEAST_GAIN), (50, 50, 0.2), (25, 10_000, 0.201), (10_000, 25, 0.201), (5, 5, 0.633)],
)
def test_a_gain_is_worth_a_decision_if_luck_alone_would_not_give_it(with_object, without, least):
    """Twice the error of guessing: 2 * sqrt(1/4 / images with an object + 1/4 / images without)."""
    has_object = np.arange(with_object + without) < with_object
    assert is_worthwhile(least + 1e-3, has_object)
    assert not is_worthwhile(least - 1e-3, has_object)
