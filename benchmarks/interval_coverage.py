"""How often the 95 % intervals cover the true mean, on simulated data sets with few groups.

    python -m benchmarks.interval_coverage

Two kinds of data are drawn. In ``even`` data, the means of groups are normally distributed (standard deviation 0.2),
and each group has 20 images (standard deviation 0.1 around the mean of their group). In ``uneven`` data, groups have 1
to 12 images, the means of groups are skewed as Dice values are (beta distribution with parameters 6 and 2), and values
are clipped to the range from 0 to 1. With two and three groups, the interval is the range of the group means.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from promise_seg.arrays import Float64Array
from promise_seg.assessment.statistics import mean_interval

GROUPS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 30)
Data = tuple[Float64Array, list[str]]


def even(rng: np.random.Generator, groups: int) -> Data:
    """Draw groups of equal size with normally distributed means.

    Returns:
        The values (20 * groups,) and the name of the group of each.
    """
    values = rng.normal(0, 0.2, groups)[:, None] + rng.normal(0, 0.1, (groups, 20))
    return values.ravel(), np.repeat(np.arange(groups), 20).astype(str).tolist()


def uneven(rng: np.random.Generator, groups: int) -> Data:
    """Draw groups of 1 to 12 images with skewed means.

    Returns:
        The values (n,) in [0, 1] and the name of the group of each.
    """
    names = np.repeat(np.arange(groups), rng.integers(1, 13, groups))
    return np.clip(rng.normal(rng.beta(6, 2, groups)[names], 0.1), 0, 1), names.astype(str).tolist()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the share of intervals that cover the true mean, by the number of groups."""
    parser = argparse.ArgumentParser(description="Measure how often intervals cover the true mean.")
    parser.add_argument("--repeats", type=int, default=4000, help="data sets of each kind and number of groups")
    parser.add_argument("--seed", type=int, default=0, help="seed of the data sets")
    given = parser.parse_args(argv)
    truths = {even: 0.0, uneven: float(uneven(np.random.default_rng(given.seed + 1), 300_000)[0].mean())}
    print("groups  even  uneven")
    for groups in GROUPS:
        shares = []
        for draw, truth in truths.items():
            rng, hits = np.random.default_rng([given.seed, groups]), 0
            for repeat in range(given.repeats):
                values, names = draw(rng, groups)
                found = mean_interval(values.tolist(), names, seed=repeat)
                hits += found.low <= truth <= found.high
            shares.append(hits / given.repeats)
        print(f"{groups:6}  {shares[0]:4.0%}  {shares[1]:6.0%}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
