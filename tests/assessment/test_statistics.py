import numpy as np
import pytest

from promise_seg.assessment import statistics
from promise_seg.assessment.statistics import by_group, holm, mean_interval, paired_difference


def draw(rng, groups):
    """Dice as they are: groups of videos of different length, good ones and bad ones."""
    sizes = rng.integers(1, 13, groups)
    centres = rng.beta(6, 2, groups)
    values = np.concatenate([np.clip(rng.normal(c, 0.1, n), 0, 1) for c, n in zip(centres, sizes, strict=True)])
    return values.tolist(), np.repeat(np.arange(groups), sizes).astype(str).tolist()


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says():
    truth = float(np.mean(draw(np.random.default_rng(99), 300_000)[0]))
    rng, hits = np.random.default_rng(0), 0
    for seed in range(500):
        found = mean_interval(*draw(rng, 30), seed=seed)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 500 <= 0.97


def test_images_of_a_group_are_no_independent_witnesses():
    """The same values, once as 200 images and once as 10 videos of 20 like frames."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.random(10), 20) + rng.normal(0, 0.01, 200)
    alone = mean_interval(values.tolist(), [str(i) for i in range(200)])
    grouped = mean_interval(values.tolist(), [str(i // 20) for i in range(200)])
    assert alone.mean == grouped.mean
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize("groups", [2, 3, 4, 8])
def test_with_few_groups_it_stays_among_their_means(groups):
    """Where other methods give intervals from minus to plus infinity."""
    for seed in range(20):
        values, names = draw(np.random.default_rng(seed), groups)
        found = mean_interval(values, names, seed=seed)
        sums, sizes = by_group(np.array(values), names)
        assert (sums / sizes).min() - 1e-9 <= found.low <= found.mean <= found.high <= (sums / sizes).max() + 1e-9


def test_the_same_seed_gives_the_same_interval():
    values, groups = draw(np.random.default_rng(0), 12)
    assert mean_interval(values, groups, seed=1) == mean_interval(values, groups, seed=1)
    assert mean_interval(values, groups, seed=1) != mean_interval(values, groups, seed=2)


@pytest.mark.parametrize("at_once", [1, 12 * 7, 12 * 3999])
def test_draws_in_blocks_are_those_of_one_block(monkeypatch, at_once):
    values, groups = draw(np.random.default_rng(0), 12)
    whole = mean_interval(values, groups)
    monkeypatch.setattr(statistics, "_DRAWN_AT_ONCE", at_once)
    assert mean_interval(values, groups) == whole


def test_too_little_to_say_anything():
    found = mean_interval([0.5, 0.7], ["a", "a"])
    assert found.mean == pytest.approx(0.6)
    assert np.isnan([found.low, found.high]).all()
    same = mean_interval([1.0, 1.0], ["a", "b"])
    assert (same.low, same.high) == (1, 1)


def test_groups_are_put_together_wherever_they_stand():
    sums, sizes = by_group(np.array([1.0, 2.0, 4.0]), ["b", "a", "b"])
    assert (sums.tolist(), sizes.tolist()) == ([2, 5], [1, 2])


def test_a_difference_that_is_there_and_one_that_is_not():
    rng = np.random.default_rng(0)
    groups = [str(i // 3) for i in range(90)]
    first = rng.random(90)
    better = paired_difference(first.tolist(), (first + 0.05 + rng.normal(0, 0.02, 90)).tolist(), groups)
    assert better.interval.low > 0.03
    assert better.p_value < 1e-4
    none = paired_difference(first.tolist(), (first + rng.normal(0, 0.05, 90)).tolist(), groups)
    assert none.interval.low < 0 < none.interval.high
    assert none.p_value > 0.05
    assert paired_difference(first.tolist(), first.tolist(), groups).p_value == 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
