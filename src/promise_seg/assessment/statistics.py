"""Confidence intervals and significance tests. Images of a group are not independent, so groups are resampled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from promise_seg.arrays import Float64Array

DRAWS = 4000
_DRAWN_AT_ONCE = 2**22  # maximum number of sampled groups in memory
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; the ends are NaN for fewer than two groups, which have no interval."""

    mean: float
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends, rounded for files; ``None`` if there is no interval."""
        return None if np.isnan(self.low) else (round(self.low, 6), round(self.high, 6))

    def as_json(self) -> list[float] | None:
        """Return both ends as a list for JSON; ``None`` if there is no interval."""
        return None if self.ends is None else list(self.ends)


def interval_words(interval: Interval | Sequence[float] | None) -> str:
    """Format an interval as ``0.712 to 0.843``, or as a dash if there is none."""
    ends = interval.ends if isinstance(interval, Interval) else interval
    return "-" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def mean_interval(values: Sequence[float], groups: Sequence[str], *, seed: int = 0) -> Interval:
    """Return the mean over images, weighted equally, with a 95 % bootstrap interval that resamples whole groups.

    The percentiles are expanded by the ratio of Student's t to the normal distribution, because plain percentiles are
    too narrow for few groups. The interval never exceeds the range of the group means, and is rough below ten groups.

    Args:
        values: one value per image.
        groups: the group of each image.
        seed: the seed of the bootstrap.

    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap" (expanded percentile interval).
    """
    array = np.asarray(values, np.float64)
    sums, sizes = by_group(array, groups)
    mean, count = float(array.mean()), len(sums)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    means = _means_of_draws(sums, sizes, seed)
    tail = tail_share(count)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high))


def _means_of_draws(sums: Float64Array, sizes: Float64Array, seed: int) -> Float64Array:
    """Return the mean over images for each of :data:`DRAWS` draws of groups, computed in blocks to bound the memory."""
    rng, count = np.random.default_rng(seed), len(sums)
    at_once = max(1, _DRAWN_AT_ONCE // count)
    means = []
    for start in range(0, DRAWS, at_once):
        drawn = rng.integers(0, count, (min(at_once, DRAWS - start), count))
        means.append(sums[drawn].sum(1) / sizes[drawn].sum(1))
    return np.concatenate(means)


def tail_share(count: int) -> float:
    """Return the share of draws beyond either end of an interval over ``count`` groups, at least two."""
    return float(stats.norm.cdf(np.sqrt(count / (count - 1)) * stats.t.ppf((1 - LEVEL) / 2, count - 1)))


def by_group(values: Float64Array, groups: Sequence[str]) -> tuple[Float64Array, Float64Array]:
    """Return the sum and the number of the values in each group, in the order of the groups' names."""
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    return np.bincount(index, values).astype(np.float64), np.bincount(index).astype(np.float64)


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences with its interval, and the p-value."""

    interval: Interval
    p_value: float


def paired_difference(
    first: Sequence[float], second: Sequence[float], groups: Sequence[str], *, seed: int = 0
) -> Difference:
    """Return the difference ``second`` minus ``first``, image by image.

    The p-value is that of Wilcoxon's signed-rank test on the mean differences of groups; 1 if all are 0.
    """
    apart = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    sums, sizes = by_group(apart, groups)
    of_groups = sums / sizes
    p_value = float(stats.wilcoxon(of_groups).pvalue) if of_groups.any() else 1.0
    return Difference(mean_interval(apart.tolist(), groups, seed=seed), p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of several tests to control the family-wise error rate.

    Source: Holm 1979.
    """
    order = np.argsort(p_values)
    corrected = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected.tolist()
