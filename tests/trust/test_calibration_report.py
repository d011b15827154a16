import re

import numpy as np
import pytest
from benchmarks.trust_val_images import CORRELATIONS, IMAGES, main
from scipy.stats import rankdata

from promise_seg.trust.calibration_report import (
    describe_trust_quality,
    error_of_mean,
    measure_trust,
    rank_correlation,
    rank_interval,
    risk_coverage,
)


def quality(trust, dice, groups=None, nothing=None, has=None):
    trust, dice = np.array(trust, float), np.array(dice, float)
    nothing = np.zeros(len(dice), bool) if nothing is None else np.array(nothing)
    has = np.ones(len(dice), bool) if has is None else np.array(has)
    return measure_trust(trust, dice, groups or [f"g{i}" for i in range(len(dice))], nothing, has, "a rule")


def test_the_json_has_exactly_these_entries():
    found = quality([0.1, 0.5, 0.9], [0.2, 0.4, 0.9]).model_dump(mode="json")
    assert list(found) == [
        "images", "rank_correlation", "rank_correlation_interval", "risk_coverage", "area_under_risk", "area_by_chance",
        "area_ideal", "calibration", "mean_absolute_error", "nothing_here",
    ]  # fmt: skip
    assert list(found["risk_coverage"][0]) == ["coverage", "dice"]
    assert list(found["calibration"][0]) == ["trust", "dice", "images"]
    assert list(found["nothing_here"]) == [
        "rule", "images_without_object", "false_alarms", "false_alarm_rate", "images_with_object", "misses", "miss_rate"
    ]  # fmt: skip
    assert isinstance(found["rank_correlation_interval"], list | None)


def test_rank_correlation_is_spearman_s_with_ties():
    rng = np.random.default_rng(0)
    trust, dice = rng.integers(0, 5, 30) / 5, rng.integers(0, 9, 30) / 9
    assert rank_correlation(trust, dice) == pytest.approx(np.corrcoef(rankdata(trust), rankdata(dice))[0, 1])
    assert rank_correlation(np.ones(4), np.arange(4.0)) is None
    assert rank_correlation(np.arange(4.0), np.ones(4)) is None


def test_a_perfect_order_is_ideal_and_a_wrong_one_worse_than_chance():
    dice = np.linspace(0, 1, 40)
    perfect, wrong = quality(dice**2, dice), quality(-dice, dice)
    assert perfect.area_under_risk == perfect.area_ideal < perfect.area_by_chance < wrong.area_under_risk
    assert (perfect.rank_correlation, wrong.rank_correlation) == (1, -1)


@pytest.mark.slow
def test_a_random_order_is_about_chance_and_no_order_exactly():
    rng = np.random.default_rng(0)
    dice = rng.uniform(size=2000)
    random = quality(rng.uniform(size=2000), dice)
    assert random.area_under_risk == pytest.approx(random.area_by_chance, abs=0.03)
    constant = quality(np.full(2000, 0.5), dice)
    assert constant.area_under_risk == pytest.approx(constant.area_by_chance, abs=1e-6)


def test_risk_coverage_by_hand():
    curve = risk_coverage(np.array([0.1, 0.9, 0.5, 0.5]), np.array([0.2, 1.0, 0.4, 0.8]))
    assert len(curve) == 20
    assert curve[:5] == pytest.approx([1.0] * 5)  # the most trusted quarter is one image
    assert curve[9] == pytest.approx((1 + 0.6) / 2)  # two are trusted equally: their mean, whichever comes first
    assert curve[14] == pytest.approx((1 + 0.6 + 0.6) / 3)
    assert curve[19] == pytest.approx(0.6)


def test_calibration_and_error_by_hand():
    trust, dice = np.linspace(0.05, 0.95, 10), np.linspace(0.15, 1.05, 10)
    found = quality(trust[::-1], dice[::-1])
    assert [one.images for one in found.calibration] == [2] * 5
    assert found.calibration[0].trust == pytest.approx(0.1)
    assert found.calibration[0].dice == pytest.approx(0.2)
    assert found.mean_absolute_error == pytest.approx(0.1)
    assert [one.images for one in quality([0.5, 0.6], [1, 0]).calibration] == [1, 1]


def test_false_alarms_and_misses_are_counted():
    nothing, has = [True, False, True, False, False], [False, False, True, True, True]
    found = quality([0.5] * 5, [1, 0, 0, 1, 1], nothing=nothing, has=has).nothing_here
    assert (found.images_without_object, found.false_alarms, found.false_alarm_rate) == (2, 1, 0.5)
    assert (found.images_with_object, found.misses, found.miss_rate) == (3, 1, pytest.approx(1 / 3, abs=1e-6))
    assert found.rule == "a rule"


def test_what_there_are_no_images_for_has_no_rate():
    assert quality([0.5], [1.0]).nothing_here.false_alarm_rate is None
    assert quality([0.5], [1.0], has=[False]).nothing_here.miss_rate is None


def test_the_interval_draws_groups():
    rng = np.random.default_rng(0)
    dice = np.repeat(rng.uniform(size=10), 20) + rng.normal(0, 0.01, 200)
    trust = np.repeat(rng.uniform(size=10), 20) + rng.normal(0, 0.01, 200)
    groups = [f"g{i // 20}" for i in range(200)]
    low, high = rank_interval(trust, dice, groups)
    lower, higher = rank_interval(trust, dice, [str(i) for i in range(200)])
    assert high - low > 2 * (higher - lower)
    assert low <= rank_correlation(trust, dice) <= high
    assert rank_interval(trust, dice, ["one"] * 200) is None
    assert rank_interval(trust, dice, [str(i % 3) for i in range(200)]) is None
    assert rank_interval(trust, dice, [str(i % 4) for i in range(200)]) is not None


def test_the_standard_error_of_a_mean_is_that_over_groups():
    values = np.array([0.1, 0.4, 0.2, 0.7])
    assert error_of_mean(values, list("abcd")) == pytest.approx(values.std(ddof=1) / 2)
    doubled = error_of_mean(np.repeat(values, 5), [name for name in "abcd" for _ in range(5)])
    assert doubled == pytest.approx(values.std(ddof=1) / 2)  # more images of the same groups tell nothing more
    assert error_of_mean(values, ["a"] * 4) is None


def test_the_simulation_of_few_val_images_runs(capsys):
    assert main(["--trials", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(IMAGES) * len(CORRELATIONS)


def test_a_report_says_rates_with_their_counts():
    dice = np.linspace(0, 1, 10)
    words = dict(describe_trust_quality(quality(dice, dice, nothing=[True] + [False] * 9)))
    assert words["Rank correlation with Dice (Spearman)"] == "1.000 (95 % CI: 1.000 to 1.000)"
    assert words["Mean Dice of all images, and of the more trusted half"] == "0.500, 0.778"
    area = words["AURC (area under the risk-coverage curve)"]
    assert re.fullmatch(r"0\.\d{3} \(random order 0\.500, ideal order 0\.\d{3}; lower is better\)", area)
    assert words["Misses (nothing reported, object there)"] == "1 of 10 images with an object (10.0 %)"
    assert words["False alarms (something reported, nothing there)"] == "no images without an object"


@pytest.mark.parametrize(
    ("trust", "dice", "reason"),
    [
        ([0.5], [1.0], "there is only one image"),
        ([0.5, 0.5], [0.2, 1.0], "all images have the same trust score"),
        ([0.3, 0.5], [1.0, 1.0], "all images have the same Dice"),
    ],
)
def test_a_report_says_why_there_is_no_rank_correlation(trust, dice, reason):
    words = dict(describe_trust_quality(quality(trust, dice)))
    assert words["Rank correlation with Dice (Spearman)"] == f"none, because {reason}"


def test_images_with_equal_trust_share_a_bin():
    constant = quality([0.7] * 6, [0.1, 0.9, 0.2, 0.8, 0.3, 0.7])
    assert [(one.trust, one.dice, one.images) for one in constant.calibration] == [(0.7, 0.5, 6)]
    assert constant.is_constant
    mixed = quality([0.9, 0.5, 0.5, 0.5, 0.1], [1, 0.2, 0.4, 0.6, 0])
    assert [(one.trust, one.dice, one.images) for one in mixed.calibration] == [(0.1, 0, 1), (0.5, 0.4, 3), (0.9, 1, 1)]
    assert not mixed.is_constant
