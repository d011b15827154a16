"""One map of all objects: no doubles, no shared pixels, numbers without gaps."""

import numpy as np
import pytest

from promise_seg.instances.outlining import ObjectMask
from promise_seg.instances.painting import paint


def square(left, top, side, score=0.9, logit=5.0):
    mask = np.ones((side, side), bool)
    return ObjectMask(left, top, np.full((side, side), logit, np.float32), mask, score, (left, top))


def test_of_two_that_are_the_same_the_surer_one_is_kept():
    found = paint([square(2, 2, 8, 0.7), square(2, 3, 8, 0.9), square(20, 20, 4)], 30, 30)
    assert len(found.objects) == 2
    assert found.objects[0].score == 0.9
    assert (found.labels == 1).sum() == 64


def test_one_inside_of_another_is_a_double_of_it():
    assert len(paint([square(0, 0, 20, 0.9), square(5, 5, 4, 0.8)], 30, 30).objects) == 1


def test_a_shared_pixel_is_whose_it_is_surest():
    found = paint([square(0, 0, 10, 0.9, logit=2), square(7, 0, 10, 0.8, logit=4)], 20, 20)
    assert (found.labels[:10, :7] == 1).all()
    assert (found.labels[:10, 7:17] == 2).all()


def test_what_is_left_of_an_object_is_in_one_piece():
    across = ObjectMask(0, 4, np.full((2, 20), 1, np.float32), np.ones((2, 20), bool), 0.6, (0, 4))
    found = paint([across, square(4, 0, 10, 0.9, logit=9)], 20, 20)
    assert sorted((found.labels == number).sum() for number in (1, 2)) == [12, 100]


def test_numbers_run_from_the_top_without_gaps_whatever_the_order():
    squares = [square(0, 20, 4), square(10, 0, 4, 0.99), square(0, 0, 4, 0.5), square(20, 10, 4, 0.2)]
    found = paint(squares, 30, 30, least_score=0.4)
    assert np.unique(found.labels).tolist() == [0, 1, 2, 3]
    assert [found.labels[one.top, one.left] for one in found.objects] == [1, 2, 3]
    assert [(one.left, one.top) for one in found.objects] == [(0, 0), (10, 0), (0, 20)]
    assert np.array_equal(found.labels, paint(squares[::-1], 30, 30, least_score=0.4).labels)


def test_nothing_is_an_empty_map():
    found = paint([], 5, 7)
    assert (found.labels.shape, found.labels.dtype, found.labels.any(), found.objects) == ((5, 7), "uint16", False, ())


def test_an_object_of_one_pixel_is_kept():
    assert paint([square(3, 4, 1)], 9, 9).labels[4, 3] == 1


@pytest.mark.slow
def test_ten_thousand_objects():
    found = paint((square(5 * (n % 100), 5 * (n // 100), 4) for n in range(10_000)), 500, 500)
    assert len(found.objects) == found.labels.max() == 10_000
