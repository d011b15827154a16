"""How sure a mean is, and whether two differ. Images of one group are not independent: groups are drawn, not images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from promise_seg.arrays import Float64Array

DRAWS = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; the ends are NaN with fewer than two groups, from which nothing follows."""

    mean: float
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends, rounded for files; ``None`` where nothing follows from the data."""
        return None if np.isnan(self.low) else (round(self.low, 6), round(self.high, 6))

    def as_json(self) -> list[float] | None:
        """The same as JSON has it."""
        return None if self.ends is None else list(self.ends)


def interval_words(interval: Interval | Sequence[float] | None) -> str:
    """``0.712 to 0.843``; a dash where nothing follows from the data."""
    ends = interval.ends if isinstance(interval, Interval) else interval
    return "-" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def mean_interval(values: Sequence[float], groups: Sequence[str], *, seed: int = 0) -> Interval:
    """The mean over images, each counting the same, with a bootstrap interval at 95 % that draws whole groups.

    Percentiles of the draws, moved outwards as Student's t is wider than the normal distribution, since plain ones are
    too narrow for few groups. It never leaves the range of the groups' own means, and with fewer than ten is rough.

    Args:
        values: one for each image.
        groups: of the images, one for each.
        seed: of the draws.

    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap" (expanded percentile interval).
    """
    array = np.asarray(values, np.float64)
    sums, sizes = by_group(array, groups)
    mean, count = float(array.mean()), len(sums)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    tail = tail_share(count)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high))


def tail_share(count: int) -> float:
    """The share of draws to leave out at either end of an interval over ``count`` groups, at least two."""
    return float(stats.norm.cdf(np.sqrt(count / (count - 1)) * stats.t.ppf((1 - LEVEL) / 2, count - 1)))


def by_group(values: Float64Array, groups: Sequence[str]) -> tuple[Float64Array, Float64Array]:
    """The sum of each group's values, and their number, in the order of the groups' names."""
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    return np.bincount(index, values).astype(np.float64), np.bincount(index).astype(np.float64)


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences with its interval, and how likely at least such ones are by chance alone."""

    interval: Interval
    p_value: float


def paired_difference(
    first: Sequence[float], second: Sequence[float], groups: Sequence[str], *, seed: int = 0
) -> Difference:
    """``second`` less ``first``, image by image.

    The p-value is of Wilcoxon's signed-rank test on the groups' mean differences; 1 where all are 0.
    """
    apart = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    sums, sizes = by_group(apart, groups)
    of_groups = sums / sizes
    p_value = float(stats.wilcoxon(of_groups).pvalue) if of_groups.any() else 1.0
    return Difference(mean_interval(apart.tolist(), groups, seed=seed), p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, corrected so that one false alarm among all of them stays as unlikely as stated.

    Source: Holm 1979.
    """
    order = np.argsort(p_values)
    corrected = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected.tolist()
