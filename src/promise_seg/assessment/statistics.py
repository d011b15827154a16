"""Confidence intervals and significance tests. Images of a group are not independent, so groups are resampled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from promise_seg.arrays import Float64Array

DRAWS = 4000
_DRAWN_AT_ONCE = 2**22  # maximum number of sampled groups in memory
LEVEL = 0.95
LEAST_GROUPS = 4
"""The least number of groups for a 95 % interval; with fewer, the range of the group means is given."""
FEW_GROUPS = 10
"""With fewer groups, intervals cover the true mean less often than in 95 % of data sets, which pages note."""
COVERAGE = {2: (50, 50), 3: (73, 75), 4: (86, 88), 5: (90, 92), 6: (92, 94), 7: (93, 95), 8: (92, 94), 9: (93, 94)}
"""The lowest and highest percentage of simulated data sets whose true mean lies within the ends of the interval, by the
number of groups: printed by ``python -m benchmarks.interval_coverage``."""


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    The ends are those of the range of the group means for fewer than four groups, and NaN for fewer than two. Of
    intervals that were read from files, the number of groups is not known.
    """

    mean: float
    low: float
    high: float
    groups: int | None = None

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


def marked_words(interval: Interval | Sequence[float] | None, groups: int | None = None) -> str:
    """Format an interval, marked if it is the range of the group means, for a table with other intervals.

    Args:
        interval: the interval, its two ends, or ``None``.
        groups: the number of groups; by default that of the interval.
    """
    count = interval.groups if isinstance(interval, Interval) else groups
    words = interval_words(interval)
    return words if words == "-" or count is None or count >= LEAST_GROUPS else f"{words} (range)"


def interval_heading(groups: Iterable[int]) -> str:
    """Return the heading of a column of intervals over these numbers of groups."""
    ranges = {count < LEAST_GROUPS for count in groups if count > 1}
    if ranges == {True}:
        return "range of group means"
    return "95 % CI, or range of group means" if True in ranges else "95 % CI"


def interval_axis(groups: Iterable[int]) -> str:
    """Return the words for intervals over these numbers of groups in the label of an axis."""
    heading = interval_heading(groups)
    return "95 % CI over groups" if heading == "95 % CI" else heading


def few_groups_note(groups: int) -> str | None:
    """Return how far intervals over so few groups can be relied on; ``None`` for ten groups and more."""
    if groups >= FEW_GROUPS:
        return None
    if groups < 2:
        return "there is no interval, which needs at least two groups"
    low, high = COVERAGE[groups]
    share = f"{low} %" if low == high else f"{low} to {high} %"
    if groups < LEAST_GROUPS:
        return (
            f"the range of the group means replaces 95 % intervals, and covers the true mean in {share} of simulations"
        )
    return f"95 % intervals are rough, and cover the true mean in {share} of simulations"


def mean_interval(values: Sequence[float], groups: Sequence[str], *, seed: int = 0) -> Interval:
    """Return the mean over images, weighted equally, with a 95 % bootstrap interval that resamples whole groups.

    The percentiles are expanded by the ratio of Student's t to the normal distribution, because plain percentiles are
    too narrow for few groups. The interval never exceeds the range of the group means, and is rough below ten groups
    (:data:`COVERAGE`). Below four groups, it is that range and not a 95 % interval.

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
        return Interval(mean, float("nan"), float("nan"), count)
    if count < LEAST_GROUPS:
        of_groups = sums / sizes
        return Interval(mean, float(of_groups.min()), float(of_groups.max()), count)
    means = _means_of_draws(sums, sizes, seed)
    tail = tail_share(count)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high), count)


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
    """The mean of paired differences, with equal weight for each image, and its interval; and a test on groups.

    Args:
        interval: the mean over images with its interval.
        p_value: the p-value of the test, in which each group counts once.
        mean_of_groups: the mean over groups, weighted equally.
        direction: 1 if the test ranks positive differences of groups higher, -1 if negative ones, and 0 if neither.
    """

    interval: Interval
    p_value: float
    mean_of_groups: float
    direction: int

    @property
    def contradicts_itself(self) -> bool:
        """Whether the test is significant in another direction than that of the mean over images."""
        return self.p_value < 1 - LEVEL and self.direction * self.interval.mean < 0


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
    interval = mean_interval(apart.tolist(), groups, seed=seed)
    return Difference(interval, p_value, float(of_groups.mean()), _direction(of_groups))


def _direction(differences: Float64Array) -> int:
    """Return the sign of the sum of the signed ranks (n,), which Wilcoxon's test compares with 0."""
    differences = differences[differences != 0]
    return int(np.sign(np.sign(differences) @ stats.rankdata(np.abs(differences))))


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
