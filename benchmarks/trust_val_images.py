"""How well trust scores calibrated on few val images are, and how well cross-validation tells it, by simulation.

    python -m benchmarks.trust_val_images

Dice values are skewed as those of real models are (median 0.85, with a tail down to 0). Each of the four signals has
the given correlation with a normally distributed quality that Dice is a monotonic function of. Each image is a group.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from promise_seg.arrays import Float64Array
from promise_seg.trust.calibrating import SIGNS
from promise_seg.trust.calibration_report import error_of_mean, rank_correlation
from promise_seg.trust.signed_regression import fit_line, out_of_fold

IMAGES = (8, 12, 16, 24, 32, 48, 64, 100)
CORRELATIONS = (0.2, 0.35, 0.5)
NEW_IMAGES = 20_000


def images(rng: np.random.Generator, count: int, correlation: float) -> tuple[Float64Array, Float64Array]:
    """Draw the signals (count, 4) and the Dice (count,) of some images."""
    quality = rng.standard_normal(count)
    bad = np.exp(-1.9 - 0.9 * quality)
    noise = rng.standard_normal((count, len(SIGNS)))
    signals = correlation * quality[:, None] + np.sqrt(1 - correlation**2) * noise
    return signals * np.array(list(SIGNS.values())), np.clip(1 - 1.2 * bad / (1 + bad), 0, 1)


def trial(rng: np.random.Generator, count: int, correlation: float) -> tuple[float, float, float, float, float]:
    """Calibrate on some images, and apply the result to many new ones.

    Returns:
        The cross-validated mean absolute error and its standard error; the cross-validated rank correlation; the mean
        absolute errors on new images, of trust and of the mean Dice of the val images.
    """
    signals, dice = images(rng, count, correlation)
    groups = [str(number) for number in range(count)]
    errors = np.abs(np.clip(out_of_fold(signals, dice, SIGNS, groups), 0, 1) - dice)
    ranks = rank_correlation(out_of_fold(signals, dice, SIGNS, groups), dice) or 0.0
    new_signals, new_dice = images(rng, NEW_IMAGES, correlation)
    trust = np.clip(fit_line(signals, dice, SIGNS, groups).at(new_signals), 0, 1)
    error = error_of_mean(errors, groups) or 0.0
    of_trust, of_mean = np.abs(trust - new_dice).mean(), np.abs(dice.mean() - new_dice).mean()
    return float(errors.mean()), error, ranks, float(of_trust), float(of_mean)


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each correlation and number of val images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    trials = parser.parse_args(argv).trials
    print("correlation  images  MAE, new images  SD of the MAE  true MAE in 2 SE  SD of the rank correlation  worse")
    for correlation in CORRELATIONS:
        for count in IMAGES:
            rng = np.random.default_rng(0)
            told, error, ranks, true, mean = np.array([trial(rng, count, correlation) for _ in range(trials)]).T
            print(
                f"{correlation:11g}  {count:6d}  {true.mean():15.3f}  {told.std() / told.mean():13.0%}  "
                f"{np.mean(np.abs(told - true) <= 2 * error):16.0%}  {ranks.std():26.2f}  {np.mean(true > mean):5.0%}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
