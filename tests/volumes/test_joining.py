"""Slices together: carried, blended, or each by itself."""

import numpy as np
import pytest

from promise_seg.images.geometry import Geometry
from promise_seg.rules.postprocessing import NO_POST
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.volumes.joining import JoinedVolume, kernel
from promise_seg.volumes.stack import Stack
from tests.volumes.stand_in import SIDE, bar, collected_from


def mask_of(own, there, stack=None, **rule) -> np.ndarray:
    joined = JoinedVolume(collected_from(own, there, stack), VolumeRule(**rule), NO_POST)
    return np.stack([joined.mask(number) for number in range(len(joined))])


def test_slices_by_themselves_are_as_they_were():
    own, there = bar([1, 3, 4]), bar([1, 2, 3, 4])
    assert np.array_equal(mask_of(own, there), own)


def test_a_slice_that_was_missed_is_found_with_its_neighbours():
    own, there = bar([1, 3, 4]), bar([1, 2, 3, 4])
    for rule in ({"slices": "agree", "blend_mm": 2.0, "carried": 0.5}, {"slices": "agree", "carried": 0.7}):
        found = mask_of(own, there, **rule)
        assert found[2].sum() > 20
        assert not found[[0, 6]].any()


def test_what_is_not_there_is_not_carried_on():
    """SAM finds nothing in the slices beyond the end of the rod, however it is asked."""
    own = there = bar([0, 1, 2])
    assert np.array_equal(mask_of(own, there, slices="agree", carried=0.7, blend_mm=0.0), there)


def test_a_slice_that_stands_alone_loses_what_its_neighbours_do_not_have():
    own, there = bar([3, 4, 5]), bar([3, 4, 5])
    own[0, :3, 12:15] = True
    assert np.array_equal(mask_of(own, there, slices="agree", carried=0.5, blend_mm=0.0), there)
    assert np.array_equal(mask_of(own, there, keep="largest"), there)


def test_blending_is_a_gaussian_in_mm():
    own = bar([3])
    joined = JoinedVolume(collected_from(own, own), VolumeRule(slices="blend", blend_mm=2.0), NO_POST)
    probs = np.array([joined.probs(number)[7, 7] for number in range(7)])
    gaussian = np.exp(-0.5 * (2.0 * (np.arange(7) - 3) / 2.0) ** 2)
    expected = np.array([gaussian[number] for number in range(7)])
    inside = expected > np.exp(-0.5 * 2.5**2)
    assert probs[inside] == pytest.approx((expected / gaussian[1:6].sum())[inside], abs=0.01)
    assert probs[~inside] == pytest.approx(0, abs=0.01)


def test_the_kernel_sees_gaps_and_ends():
    weights = kernel(np.array([0.0, 2.0, 10.0]), 2.0)
    assert [first for first, _ in weights] == [0, 0, 2]
    assert [len(one) for _, one in weights] == [2, 2, 1]
    assert all(one.sum() == pytest.approx(1) for _, one in weights)
    assert [len(one) for _, one in kernel(np.array([0.0, 2.0]), 0.0)] == [1, 1]


@pytest.mark.parametrize("slices", ["each", "blend", "agree"])
def test_one_slice_is_itself(slices):
    own = bar([0], count=1)
    rule = {"slices": slices, "least_mm3": 5.0, "fill_holes": True, "keep": "largest"}
    assert np.array_equal(mask_of(own, own, **rule), own)


def test_volumes_without_distances_are_joined_and_said_so():
    own, there = bar([1, 3, 4]), bar([1, 2, 3, 4])
    rule = VolumeRule(slices="blend", blend_mm=3.0, step_mm=2.0, least_mm3=1e6)
    stack = Stack.given(7, (0.0, 1.0, 1.0))
    joined = JoinedVolume(collected_from(own, there, stack), rule, NO_POST)
    known = JoinedVolume(collected_from(own, there), rule.model_copy(update={"least_mm3": 0.0}), NO_POST)
    assert all(np.array_equal(joined.mask(n), known.mask(n)) for n in range(7))
    assert joined.notes() == (
        "small components were not removed, because its spacing has a zero, negative or non-finite value",
        "a distance of 2 mm between its slices was assumed, because its spacing has a zero, negative "
        "or non-finite value",
    )
    assert known.notes() == ()


def test_probabilities_can_be_asked_for_in_any_order():
    own = bar([1, 3, 4])
    joined = JoinedVolume(collected_from(own, own), VolumeRule(slices="blend", blend_mm=3.0), NO_POST)
    forward = [joined.probs(number) for number in range(7)]
    assert all(np.array_equal(joined.probs(number), forward[number]) for number in (6, 0, 3))
    assert forward[0].shape == (SIDE, SIDE)


def test_a_slice_of_another_size_takes_no_part_in_the_mean():
    """The slices of a folder may differ in size; each keeps its own, and the weights of those that fit sum to 1."""
    own = bar([1, 2, 3])
    collected = collected_from(own, own)
    collected.geometries[1] = Geometry(SIDE // 2, SIDE, SIDE)
    joined = JoinedVolume(collected, VolumeRule(slices="blend", blend_mm=3.0), NO_POST)
    assert [joined.probs(number).shape for number in (0, 1, 2)] == [(SIDE, SIDE), (SIDE // 2, SIDE), (SIDE, SIDE)]
    weights = np.exp(-0.5 * (2.0 * np.arange(-2, 4) / 3.0) ** 2)[[0, 2, 3, 4, 5]]  # of the slices 0, 2, 3, 4 and 5
    assert joined.probs(2)[7, 7] == pytest.approx(weights[[1, 2]].sum() / weights.sum(), abs=0.01)
