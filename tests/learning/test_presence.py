"""An image is said to hold nothing where own prompts are the better for it on validation rows."""

import numpy as np
import pytest

from promise_seg.assessment.overlaps import Overlap, Scored
from promise_seg.learning.presence import best_presence

GOOD, BAD, MISSED, ALARM, QUIET = (
    Overlap(100, 100, 100), Overlap(1, 100, 100), Overlap(0, 0, 100), Overlap(0, 50, 0), Overlap(0, 0, 0),
)  # fmt: skip


@pytest.mark.parametrize(
    ("presences", "overlaps", "threshold"),
    [
        ([0.1, 0.3, 0.6, 0.9], [ALARM, ALARM, GOOD, GOOD], 0.45),
        ([0.1, 0.3, 0.6, 0.9], [ALARM, GOOD, ALARM, GOOD], 0.2),  # as good as 0.75, which would hide an object
        ([0.1, 0.3, 0.6, 0.9], [BAD, BAD, ALARM, GOOD], 0.75),  # these masks are of no use anyway
        ([0.1, 0.3, 0.6, 0.9], [MISSED, GOOD, QUIET, GOOD], 0.1),  # nothing can be gained: nothing is emptied
        ([0.5, 0.5], [GOOD, ALARM], 0.5),  # cannot be told apart: nothing is emptied
    ],
)
def test_a_mask_is_emptied_where_that_is_better(checked, presences, overlaps, threshold):
    scored = Scored(checked[: len(overlaps)], as_volumes=False)
    found = best_presence(np.array(presences), overlaps, scored)
    assert found == pytest.approx(threshold)


def test_of_thresholds_that_are_nearly_as_good_the_lowest_is_taken(checked):
    overlaps = [ALARM, Overlap(1, 400, 100), ALARM, GOOD]
    scored = Scored(checked[:4], as_volumes=False)
    # Emptying the second mask costs 0.001 and what comes after it 0.25: then it is worth it; otherwise it stays.
    assert best_presence(np.array([0.1, 0.3, 0.6, 0.9]), overlaps, scored) == pytest.approx(0.75)
    overlaps[2] = Overlap(0, 0, 100)
    assert best_presence(np.array([0.1, 0.3, 0.6, 0.9]), overlaps, scored) == pytest.approx(0.2)


def test_thousands_of_rows_are_judged_by_a_few_hundred_thresholds(checked, monkeypatch):
    rows = 3000
    scored = Scored(checked[:1] * rows, as_volumes=False)
    tried = []
    monkeypatch.setattr(scored, "mean_dice", lambda found: tried.append(sum(one.found == 0 for one in found)) or 0.0)
    best_presence(np.linspace(0, 1, rows), [GOOD] * rows, scored)
    assert len(tried) <= 200
    assert tried == sorted(tried)
    assert (tried[0], tried[-1]) == (0, rows - 1)
