import numpy as np
import pytest
from pydantic import ValidationError

from promise_seg.trust.calibration_report import rank_correlation
from promise_seg.trust.signed_regression import LEAST_IMAGES, Line, fit_line, folds, out_of_fold

SIGNS = {"good": 1, "bad": -1}


def made(count=60, noise=0.05, seed=0):
    """Values (n, 2), what follows from them, and groups of three."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 2))
    targets = 0.6 + 0.1 * values[:, 0] - 0.05 * values[:, 1] + noise * rng.normal(size=count)
    return values, targets, [f"g{i // 3}" for i in range(count)]


def test_weights_are_found_and_a_little_smaller_than_the_truth():
    values, targets, groups = made(noise=0.0)
    line = fit_line(values, targets, SIGNS, groups)
    per_unit = np.array(line.weights) / line.scales
    assert per_unit == pytest.approx([0.1, -0.05], rel=0.1)
    assert (np.abs(per_unit) < [0.1, 0.05]).all()


def test_a_weight_of_the_wrong_sign_is_none():
    values, targets, groups = made()
    line = fit_line(-values, targets, SIGNS, groups)
    assert line.weights == (0.0, 0.0)
    assert line.at(values) == pytest.approx(targets.mean())


@pytest.mark.parametrize(
    ("count", "groups"), [(LEAST_IMAGES - 1, None), (30, ["one"] * 30)], ids=["few images", "one group"]
)
def test_of_too_little_follows_the_mean(count, groups):
    values, targets, own = made(count)
    line = fit_line(values, targets, SIGNS, groups or own)
    assert line.weights == (0, 0)
    assert line.at(values) == pytest.approx(targets.mean())
    assert np.ptp(out_of_fold(values, targets, SIGNS, groups or own)) == 0


def test_a_signal_that_never_varies_does_no_harm():
    values, targets, groups = made()
    values[:, 1] = 3
    assert np.isfinite(fit_line(values, targets, SIGNS, groups).at(values)).all()


def test_each_image_is_held_out_once_with_its_whole_group():
    groups = [f"g{i // 3}" for i in range(75)]
    held = list(folds(groups))
    assert len(held) == 10
    assert np.array_equal(np.sum(held, 0), np.ones(75))
    for one in held:
        assert not {g for g, out in zip(groups, one, strict=True) if out} & {
            g for g, out in zip(groups, one, strict=True) if not out
        }
    assert list(folds(["a", "a"])) == []


def test_what_is_said_out_of_fold_does_not_come_from_the_image_itself():
    """Of noise the fit itself finds something to say; judged without its own group nothing is left of it."""
    fitted, honest = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values, targets = rng.normal(size=(12, 2)), rng.normal(size=12)
        groups = [f"g{i}" for i in range(12)]
        fitted.append(rank_correlation(fit_line(values, targets, SIGNS, groups).at(values), targets) or 0.0)
        honest.append(rank_correlation(out_of_fold(values, targets, SIGNS, groups), targets) or 0.0)
    assert np.mean(fitted) > 0.2
    assert abs(np.mean(honest)) < 0.12


def test_a_damaged_line_is_refused():
    with pytest.raises(ValidationError, match="have the same length"):
        Line(names=("a",), mean=0, centres=(0,), scales=(1,), weights=())
