"""The quality of trust scores, measured on images with a ground truth."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from promise_seg.arrays import BoolArray, Float64Array
from promise_seg.assessment.statistics import LEAST_GROUPS, interval_words, tail_share
from promise_seg.assessment.trust_quality import Bin, Covered, NothingHere, TrustQuality
from promise_seg.quantities import count_in_words

COVERAGES = 20
BINS = 5
DRAWS = 1000


def measure_trust(
    trust: Float64Array,
    dice: Float64Array,
    groups: Sequence[str],
    nothing_here: BoolArray,
    has_object: BoolArray,
    rule: str,
) -> TrustQuality:
    """Compare scores and decisions with the ground truth.

    Shape: ``trust``, ``dice``, ``nothing_here`` and ``has_object`` (n,); ``groups`` has n entries.
    """
    curve, ideal = risk_coverage(trust, dice), risk_coverage(dice, dice)
    false_alarms = int(np.count_nonzero(~nothing_here & ~has_object))
    misses = int(np.count_nonzero(nothing_here & has_object))
    without, with_object = int(np.count_nonzero(~has_object)), int(np.count_nonzero(has_object))
    return TrustQuality(
        images=len(dice),
        rank_correlation=_rounded(rank_correlation(trust, dice)),
        rank_correlation_interval=rank_interval(trust, dice, groups),
        risk_coverage=tuple(
            Covered(coverage=(step + 1) / COVERAGES, dice=round(value, 6)) for step, value in enumerate(curve)
        ),
        area_under_risk=round(1 - float(np.mean(curve)), 6),
        area_by_chance=round(1 - float(dice.mean()), 6),
        area_ideal=round(1 - float(np.mean(ideal)), 6),
        calibration=_bins(trust, dice),
        mean_absolute_error=round(float(np.abs(trust - dice).mean()), 6),
        nothing_here=NothingHere(
            rule=rule,
            images_without_object=without,
            false_alarms=false_alarms,
            false_alarm_rate=_rounded(false_alarms / without if without else None),
            images_with_object=with_object,
            misses=misses,
            miss_rate=_rounded(misses / with_object if with_object else None),
        ),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def rank_correlation(trust: Float64Array, dice: Float64Array) -> float | None:
    """Return Spearman's rank correlation, with mean ranks for ties; ``None`` if either input is constant."""
    if np.ptp(trust) == 0 or np.ptp(dice) == 0:
        return None
    return float(spearmanr(trust, dice).statistic)


def rank_interval(
    trust: Float64Array, dice: Float64Array, groups: Sequence[str], seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % interval of the rank correlation, by a bootstrap over whole groups; ``None`` below four groups.

    The percentiles are expanded like those of :func:`~promise_seg.assessment.statistics.mean_interval`.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < LEAST_GROUPS:
        return None
    members = [np.flatnonzero(index == number) for number in range(len(names))]
    found = []
    for drawn in np.random.default_rng(seed).integers(0, len(names), (DRAWS, len(names))):
        rows = np.concatenate([members[number] for number in drawn])
        value = rank_correlation(trust[rows], dice[rows])
        if value is not None:
            found.append(value)
    if len(found) < DRAWS / 2:
        return None
    tail = tail_share(len(names))
    low, high = np.quantile(found, [tail, 1 - tail]).tolist()
    return round(low, 6), round(high, 6)


def error_of_mean(values: Float64Array, groups: Sequence[str]) -> float | None:
    """Return the standard error of the mean of values (n,) whose groups are independent; ``None`` for one group."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(index, values - values.mean())
    return float(np.sqrt(len(names) / (len(names) - 1) * np.sum(sums**2)) / len(values))


def risk_coverage(trust: Float64Array, dice: Float64Array) -> list[float]:
    """Return the mean Dice of the most trusted 1/20, 2/20 ... of the images, rounded up to whole images.

    Images with equal trust count with their common mean, because their order is arbitrary.
    """
    _, same, sizes = np.unique(-trust, return_inverse=True, return_counts=True)  # the most trusted first
    common = np.bincount(same, dice) / sizes
    running = np.cumsum(common[np.sort(same)])
    counts = [-(-len(dice) * (step + 1) // COVERAGES) for step in range(COVERAGES)]
    return [float(running[count - 1] / count) for count in counts]


def _bins(trust: Float64Array, dice: Float64Array) -> tuple[Bin, ...]:
    """Divide the images, ranked by trust, into bins of nearly equal size; images with equal trust share a bin."""
    order = np.argsort(trust, kind="stable")
    sizes = [len(part) for part in np.array_split(order, min(BINS, len(order)))]
    bin_of_rank = np.repeat(np.arange(len(sizes)), sizes)
    _, first, same, counts = np.unique(trust[order], return_index=True, return_inverse=True, return_counts=True)
    bins = bin_of_rank[first + (counts - 1) // 2][same]
    parts = [order[bins == number] for number in np.unique(bins)]
    return tuple(
        Bin(trust=round(float(trust[part].mean()), 6), dice=round(float(dice[part].mean()), 6), images=len(part))
        for part in parts
    )


def describe_trust_quality(quality: TrustQuality) -> tuple[tuple[str, str], ...]:
    """Return names and values of everything except the curve and the bins, as text."""
    if quality.rank_correlation is None:
        correlation = f"none, because {_reason_without_correlation(quality)}"
    else:
        correlation = f"{quality.rank_correlation:.3f}"
    if quality.rank_correlation_interval is not None:
        correlation += f" (95 % CI: {interval_words(list(quality.rank_correlation_interval))})"
    dice = {round(point.coverage, 2): point.dice for point in quality.risk_coverage}
    risk = (
        f"{quality.area_under_risk:.3f} "
        f"(random order {quality.area_by_chance:.3f}, ideal order {quality.area_ideal:.3f}; lower is better)"
    )
    nothing = quality.nothing_here
    return (
        ("Rank correlation with Dice (Spearman)", correlation),
        ("Mean Dice of all images, and of the more trusted half", f"{dice[1.0]:.3f}, {dice[0.5]:.3f}"),
        ("AURC (area under the risk-coverage curve)", risk),
        ("Mean absolute error as a prediction of Dice", f"{quality.mean_absolute_error:.3f}"),
        ("Rule for nothing here", nothing.rule),
        (
            "False alarms (something reported, nothing there)",
            _share(nothing.false_alarms, nothing.images_without_object, "without"),
        ),
        ("Misses (nothing reported, object there)", _share(nothing.misses, nothing.images_with_object, "with")),
    )


def _reason_without_correlation(quality: TrustQuality) -> str:
    if quality.images < 2:
        return "there is only one image"
    return f"all images have the same {'trust score' if quality.is_constant else 'Dice'}"


def _share(count: int, of: int, word: str) -> str:
    share = f"{count} of {count_in_words(of, 'image')} {word} an object"
    return f"{share} ({100 * count / of:.1f} %)" if of else f"no images {word} an object"
