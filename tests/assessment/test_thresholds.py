"""When an image is said to hold nothing."""

import numpy as np
import pytest

from promise_seg.assessment.thresholds import best_threshold


@pytest.mark.parametrize(
    ("scores", "truth", "threshold"),
    [
        ([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1], 0.45),
        ([0.9, 0.2], [1, 0], 0.55),
        ([0.1, 0.4, 0.3, 0.9], [0, 0, 1, 1], 0.2),  # as good as 0.65, which would miss an object
        ([0.5, 0.5], [1, 0], 0.5),  # cannot be told apart: nothing is missed
    ],
)
def test_the_threshold_divides_best_and_misses_least(scores, truth, threshold):
    assert best_threshold(np.array(scores), np.array(truth, bool)) == pytest.approx(threshold)
