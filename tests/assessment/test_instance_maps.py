"""Scores of instance maps are those of the masks in them, for any number of objects."""

import tracemalloc

import numpy as np
import pytest

from promise_seg.assessment.mask_pair import InstanceMaps, MaskPair
from promise_seg.assessment.measures import values_of
from promise_seg.assessment.objects import score_instance_maps, score_objects
from promise_seg.images.cut_masks import CutMask
from promise_seg.images.masks import instances_of
from tests.instances.drawn import discs


def masks(labels):
    return [CutMask.of(mask) for mask in instances_of(labels)]


@pytest.mark.parametrize("seed", range(5))
def test_they_are_those_of_the_masks(seed):
    rng = np.random.default_rng(seed)
    truth = discs(*((*rng.integers(5, 60, 2), rng.integers(3, 9)) for _ in range(8)), side=64)
    found = np.roll(truth, rng.integers(0, 3, 2), (0, 1))
    found[found == rng.integers(1, 9)] = 0
    assert score_instance_maps(found, truth) == score_objects(masks(found), masks(truth))


def test_gaps_in_numbers_and_other_numbers_change_nothing():
    truth = discs((8, 8, 5), (22, 22, 6))
    renumbered = np.where(truth == 1, 40_000, np.where(truth == 2, 7, 0))
    assert score_instance_maps(renumbered, truth).average_precision == 1


def test_an_object_in_two_parts_is_one_object():
    truth = np.zeros((20, 20), int)
    truth[2:8, 2:8] = truth[12:18, 12:18] = 1
    apart = truth.copy()
    apart[12:18, 12:18] = 2
    assert score_instance_maps(truth, truth).objects == 1
    scores = score_instance_maps(apart, truth)
    assert scores.predicted_objects == 2
    assert (scores.f1_at(0.5), scores.count_error) == (pytest.approx(2 / 3), 0.5)


@pytest.mark.parametrize(("found", "true", "f1", "error"), [(0, 0, 1, 0), (1, 0, 0, 1), (0, 1, 0, 1)])
def test_nothing(found, true, f1, error):
    scores = score_instance_maps(np.full((4, 4), found), np.full((4, 4), true))
    assert (scores.mean_f1, scores.panoptic_quality, scores.count_error) == (f1, f1, error)


def test_at_an_iou_of_just_a_half_each_object_has_one_partner_at_most():
    truth, found = np.ones((4, 4), int), np.ones((4, 4), int)
    found[2:] = 2
    scores = score_instance_maps(found, truth)
    assert scores == score_objects(masks(found), masks(truth))
    assert scores.f1_at(0.5) == pytest.approx(2 / 3)
    assert scores.panoptic_quality == 0


def test_f1_counts_hits_twice_over_all_objects():
    truth = discs((8, 8, 5), (22, 22, 6))
    scores = score_instance_maps(np.where(truth == 1, 1, 0), truth)
    assert scores.f1 == pytest.approx((2 / 3,) * 10)


def test_ten_thousand_objects_need_neither_a_mask_each_nor_a_table_of_all_pairs():
    truth = np.kron(np.arange(1, 10_001).reshape(100, 100), np.ones((4, 4), int))
    found = np.roll(truth, 1, 1)
    tracemalloc.start()
    scores = score_instance_maps(found, truth)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 10_000 * 10_000  # a table of all pairs holds eight times as much
    assert (scores.objects, scores.predicted_objects) == (10_000, 10_000)
    assert scores.f1_at(0.5) > 0.98  # IoU of 12 / 20


def test_all_measures_of_a_pair_of_maps():
    truth = discs((8, 8, 5), (22, 22, 6))
    pair = MaskPair((truth > 0).astype(np.float32), truth > 0, truth > 0, objects=InstanceMaps(truth, truth))
    values = values_of(pair)
    assert {values[name] for name in ("object_f1", "object_f1_50", "object_f1_75", "object_f1_90")} == {1.0}
    assert values["count_error"] == 0
