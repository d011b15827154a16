from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promise_seg.assessment.objects import iou_matrix, score_objects
from promise_seg.images.cut_masks import CutMask
from promise_seg.images.masks import instances_of

SHAPE = (20, 60)


def bar(left, width, rows=10):
    mask = np.zeros(SHAPE, bool)
    mask[:rows, left : left + width] = True
    return CutMask.of(mask)


def mirrored(masks):
    return [CutMask.of(one.whole()[:, ::-1]) for one in masks]


TRUTH = [bar(0, 10), bar(20, 10), bar(40, 10)]


def test_iou_of_hand_made_bars():
    matrix = iou_matrix([bar(0, 10), bar(5, 10), bar(25, 10), bar(0, 0)], TRUTH)
    np.testing.assert_allclose(matrix, [[1, 0, 0], [1 / 3, 0, 0], [0, 1 / 3, 0], [0, 0, 0]])


def test_everything_found():
    found = score_objects(TRUTH[::-1], TRUTH)
    assert (found.average_precision, found.average_precision_50, found.panoptic_quality) == (1, 1, 1)
    assert (found.objects, found.predicted_objects) == (3, 3)


def test_one_missed_one_false_and_one_half_right():
    """IoU 1, 0.8 and nothing; by hand: at 0.5 ... 0.8 two hits of four objects in all, above that one of five."""
    predicted = [bar(0, 10), bar(20, 8), bar(52, 6)]
    found = score_objects(predicted, TRUTH)
    assert found.average_precision_50 == pytest.approx(2 / 4)
    assert found.average_precision == pytest.approx((7 * 2 / 4 + 3 * 1 / 5) / 10)
    assert found.panoptic_quality == pytest.approx((1 + 0.8) / (2 + 0.5 + 0.5))


def test_two_masks_of_one_object_count_once():
    found = score_objects([bar(0, 10), bar(0, 9)], TRUTH[:1])
    assert found.average_precision_50 == pytest.approx(1 / 2)
    assert found.panoptic_quality == pytest.approx(1 / 1.5)


@pytest.mark.parametrize(("predicted", "truth", "expected"), [([], [], 1), ([], TRUTH, 0), (TRUTH, [], 0)])
def test_nothing_there_or_nothing_found(predicted, truth, expected):
    found = score_objects(predicted, truth)
    assert (found.average_precision, found.average_precision_50, found.panoptic_quality) == (expected,) * 3


def test_order_and_mirrors_change_nothing():
    rng = np.random.default_rng(0)
    predicted = [
        bar(int(left), int(width)) for left, width in zip(rng.integers(0, 45, 5), rng.integers(3, 14, 5), strict=True)
    ]
    one = score_objects(predicted, TRUTH)
    assert score_objects(predicted[::-1], TRUTH[::-1]) == one
    assert score_objects(mirrored(predicted), mirrored(TRUTH)) == one


def test_an_iou_of_just_one_half_is_a_hit_for_the_precision_but_not_for_panoptic_quality():
    """COCO counts from 0.5 on, Kirillov et al. 2019 above it, where no second mask can be a hit."""
    found = score_objects([bar(0, 5)], TRUTH[:1])
    assert found.average_precision_50 == 1
    assert found.average_precision == pytest.approx(1 / 10)
    assert found.panoptic_quality == 0
    assert score_objects([bar(0, 11)], [bar(0, 20)]).panoptic_quality == 0.55


def test_half_an_object_of_two_by_hand():
    """IoU 0.5 and 1: one hit, one false alarm and one miss."""
    found = score_objects([bar(0, 5), bar(20, 10)], TRUTH[:2])
    assert found.average_precision_50 == 1
    assert found.panoptic_quality == pytest.approx(1 / (1 + 0.5 + 0.5))


def by_brute_force(predicted, truth):
    """AP at each threshold and PQ of two label maps, from their table of common pixels and all ways to match them."""
    labels = [[label for label in np.unique(one) if label] for one in (predicted, truth)]
    common = {(p, t): np.sum((predicted == p) & (truth == t)) for p, t in product(*labels)}
    iou = {(p, t): n / (np.sum(predicted == p) + np.sum(truth == t) - n) for (p, t), n in common.items()}
    few, many = sorted(range(2), key=lambda side: len(labels[side]))

    def best(reaches):
        """The largest sum of IoU, and the number of pairs with it, among all ways to match pairs that reach."""
        found = [(0.0, 0)]
        for order in permutations(labels[many], len(labels[few])):
            pairs = zip(labels[few], order, strict=True)
            values = [iou[pair if few == 0 else pair[::-1]] for pair in pairs]
            kept = [value for value in values if reaches(value)]
            found.append((sum(kept), len(kept)))
        return max(found)

    total = len(labels[0]) + len(labels[1])
    if not total:
        return [1.0] * 10, 1.0
    precisions = []
    for step in range(10):
        hits = best(lambda value, step=step: value >= round(0.5 + 0.05 * step, 2))[1]
        precisions.append(hits / (total - hits))
    matched, hits = best(lambda value: value > 0.5)
    return precisions, matched / (hits + (total - 2 * hits) / 2)


@given(arrays(np.uint8, (4, 6), elements=st.integers(0, 3)), arrays(np.uint8, (4, 6), elements=st.integers(0, 3)))
@settings(max_examples=150, deadline=None)
def test_scores_agree_with_all_ways_to_match_objects(predicted, truth):
    masks = [[CutMask.of(mask) for mask in instances_of(one)] for one in (predicted, truth)]
    found = score_objects(*masks)
    precisions, quality = by_brute_force(predicted, truth)
    assert found.average_precision == pytest.approx(np.mean(precisions))
    assert found.average_precision_50 == pytest.approx(precisions[0])
    assert found.panoptic_quality == pytest.approx(quality)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_scores_of_objects_that_are_nearly_right_agree_too(data):
    """Random maps have few hits: here some pixels of a true map are changed."""
    truth = np.kron(np.array([[1, 0, 2], [3, 3, 0]], np.uint8), np.ones((3, 3), np.uint8))
    changed = data.draw(arrays(bool, truth.shape, elements=st.booleans(), fill=st.just(False)))
    predicted = np.where(changed & (truth > 0), 0, truth).astype(np.uint8)
    found = score_objects(*[[CutMask.of(mask) for mask in instances_of(one)] for one in (predicted, truth)])
    precisions, quality = by_brute_force(predicted, truth)
    assert found.average_precision == pytest.approx(np.mean(precisions))
    assert found.panoptic_quality == pytest.approx(quality)
