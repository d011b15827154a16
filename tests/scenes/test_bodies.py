"""Drawn bodies."""

import numpy as np

from promise_seg.scenes.bodies import ORGANS, draw_body


def test_a_body_depends_on_its_seed_and_has_three_organs():
    body = draw_body(3, (12, 40, 48))
    assert body.values.shape == body.labels.shape == (12, 40, 48)
    assert (body.values.dtype, body.labels.dtype) == (np.uint8, np.uint8)
    assert set(np.unique(body.labels)) == set(range(ORGANS + 1))
    again, other = draw_body(3, (12, 40, 48)), draw_body([3, 1], (12, 40, 48))
    assert np.array_equal(body.values, again.values)
    assert not np.array_equal(body.labels, other.labels)
    assert not body.labels[0].any()
