import numpy as np
import pytest
from benchmarks.interval_coverage import even, main, uneven

from promise_seg.assessment import statistics
from promise_seg.assessment.statistics import (
    COVERAGE,
    FEW_GROUPS,
    LEAST_GROUPS,
    Interval,
    by_group,
    few_groups_note,
    holm,
    interval_axis,
    interval_heading,
    marked_words,
    mean_interval,
    paired_difference,
)


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


@pytest.mark.parametrize("groups", [2, 3])
def test_below_four_groups_the_range_of_their_means_is_given_and_called_that(groups):
    values, names = draw(np.random.default_rng(groups), groups)
    found = mean_interval(values, names)
    sums, sizes = by_group(np.array(values), names)
    assert (found.low, found.high) == ((sums / sizes).min(), (sums / sizes).max())
    assert interval_heading([groups]) == interval_axis([groups]) == "range of group means"
    assert marked_words(found).endswith(" (range)")
    assert marked_words(list(found.ends), groups).endswith(" (range)")
    assert few_groups_note(groups).startswith("the range of the group means replaces 95 % intervals")


def test_from_four_groups_on_there_is_an_interval_with_its_name():
    found = mean_interval(*draw(np.random.default_rng(0), 4))
    assert "range" not in marked_words(found)
    assert (interval_heading([4, 1]), interval_axis([4])) == ("95 % CI", "95 % CI over groups")
    assert interval_heading([3, 30]) == "95 % CI, or range of group means"
    assert few_groups_note(4) == "95 % intervals are rough, and cover the true mean in 86 to 88 % of simulations"
    assert few_groups_note(10) is None
    assert few_groups_note(1).startswith("there is no interval")


def test_words_of_intervals_without_groups_or_ends_have_no_mark():
    assert marked_words(Interval(0.5, 0.4, 0.6)) == marked_words([0.4, 0.6]) == "0.400 to 0.600"
    assert marked_words(mean_interval([0.5, 0.6], ["a", "a"])) == marked_words(None, 2) == "-"


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 3, 5])
@pytest.mark.parametrize("kind", [even, uneven])
def test_few_groups_are_covered_as_often_as_the_pages_say(monkeypatch, groups, kind):
    assert set(COVERAGE) == set(range(2, FEW_GROUPS))
    assert LEAST_GROUPS in COVERAGE
    monkeypatch.setattr(statistics, "DRAWS", 500)
    truth = 0.0 if kind is even else float(uneven(np.random.default_rng(1), 300_000)[0].mean())
    rng, hits = np.random.default_rng(7), 0
    for seed in range(500):
        found = mean_interval(*kind(rng, groups), seed=seed)
        hits += found.low <= truth <= found.high
    low, high = COVERAGE[groups]
    assert low - 6 <= hits / 5 <= high + 6


def test_the_script_of_the_coverage_prints_a_line_for_each_number_of_groups(capsys):
    assert main(["--repeats", "2"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()][:3] == ["groups", "2", "3"]


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


def test_a_large_group_decides_the_difference_and_the_small_ones_the_test():
    """100 images of one group are better, one image in each of 11 other groups is worse."""
    apart = [0.1] * 100 + [-0.05 - 0.001 * number for number in range(11)]
    groups = ["large"] * 100 + [str(number) for number in range(11)]
    found = paired_difference([0.0] * 111, apart, groups)
    assert found.interval.mean > 0.08
    assert found.mean_of_groups == pytest.approx(np.mean([0.1, *apart[100:]]))
    assert (found.p_value < 0.05, found.direction, found.contradicts_itself) == (True, -1, True)
    alone = paired_difference([0.0] * 111, apart, [str(number) for number in range(111)])
    assert (alone.direction, alone.contradicts_itself) == (1, False)
    nothing = paired_difference([0.5] * 4, [0.5] * 4, ["a", "a", "b", "b"])
    assert (nothing.mean_of_groups, nothing.direction, nothing.contradicts_itself) == (0, 0, False)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
