"""Distribute groups of rows over sides (splits or folds), giving each its share of the rows and similar object sizes.

Groups are assigned one after the other, large ones first, each to the side where it adds least to the cost; then single
groups are moved and pairs of groups exchanged as long as that lowers the cost. If the shares are still not met, other
orders are tried, and then all possibilities if there are few groups. ``_Dealing.cost`` defines the cost.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promise_seg.arrays import Float64Array

Ints = npt.NDArray[np.intp]

TOLERANCE = 0.05
"""How far the share of rows of a side may deviate from the requested one, if the groups permit."""
SIZE_BINS = 5
_MAX_STEPS = 500
_EXCHANGES = 200
_DEALS = 10
_MAX_WAYS = 20_000


@dataclass(frozen=True)
class Side:
    """A split or fold, with its ``share`` of the rows, above 0, and the number of groups that it needs at least."""

    share: float
    least_groups: int = 1


def deal(sizes: Sequence[Sequence[float]], sides: Sequence[Side], seed: int) -> list[int]:
    """Return the side, 0 to ``len(sides)`` - 1, of each group.

    Args:
        sizes: the object sizes of the rows of each group. The order of groups matters, the order of rows does not.
        sides: the sides; their shares sum to 1. There must be at least as many groups as they need together.
        seed: seed of the orders that are tried.
    """
    return _Dealing(_features(sizes), sides, seed).dealt().tolist()


def _features(sizes: Sequence[Sequence[float]]) -> Float64Array:
    """Return the features to balance, as sums over groups: (groups, 3 + bins).

    The columns are the number of rows; the number of groups; the number of rows times the deviation of the group's mean
    object size from the overall mean, in standard deviations; and the number of rows in each quantile bin of the mean
    object sizes. All except the second are divided by the total number of rows. Mean sizes are computed with ``fsum``,
    to be independent of the order of rows.
    """
    counts = np.asarray([len(group) for group in sizes], np.float64) / sum(map(len, sizes))
    means = np.asarray([math.fsum(group) / len(group) for group in sizes])
    deviation = means - counts @ means
    spread = math.sqrt(counts @ deviation**2) or 1.0
    edges = np.unique(np.quantile(means, np.linspace(0, 1, SIZE_BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, means, side="right")
    in_bin = counts[:, None] * (bins[:, None] == np.arange(len(edges) + 1))
    return np.column_stack([counts, np.ones_like(counts), counts * deviation / spread, in_bin])


class _Dealing:
    """A search for the best distribution of groups over sides.

    The cost of a side is the sum of the squared errors of its share of the rows (with a steep penalty beyond
    ``TOLERANCE``), of its mean object size, and of its share of each bin. The last two weigh more on small sides. The
    penalty for a side with too few groups exceeds all other terms.
    """

    def __init__(self, features: Float64Array, sides: Sequence[Side], seed: int) -> None:
        self.features = features
        self.shares = np.asarray([side.share for side in sides])
        self.least = np.asarray([side.least_groups for side in sides])
        self.targets = self.shares[:, None] * features.sum(0)
        self.random = random.Random(seed)

    def cost(self, side: int, totals: Float64Array) -> Float64Array:
        """Return the cost (...) of one side with the sums of features (..., 3 + bins)."""
        off = totals - self.targets[side]
        beyond = np.maximum(np.abs(off[..., 0]) - TOLERANCE, 0)
        balance = (10 * off[..., 2] ** 2 + (off[..., 3:] ** 2).sum(-1)) / self.shares[side]
        missing = np.maximum(self.least[side] - totals[..., 1], 0)
        return 100 * off[..., 0] ** 2 + 10_000 * beyond + balance + 1_000_000 * missing

    def dealt(self) -> Ints:
        """Return the side of each group, shape (groups,).

        The first distribution that meets the requested shares is used, otherwise the one of lowest cost.
        """
        tried = []
        for attempt in range(_DEALS):
            side = self._improved(self._deal_out(large_first=attempt == 0))
            if self._has_shares(side):
                return side
            tried.append(side)
        if len(self.shares) ** len(self.features) <= _MAX_WAYS:
            return self._best_of_all()
        return min(tried, key=self._total_cost)

    def _has_shares(self, side: Ints) -> bool:
        totals = self._totals(side)
        near = np.abs(totals[:, 0] - self.shares) <= TOLERANCE
        return bool((near & (totals[:, 1] >= self.least)).all())

    def _best_of_all(self) -> Ints:
        """Return the distribution of lowest cost among all possible ones; only feasible for a few groups."""
        ways = np.indices((len(self.shares),) * len(self.features)).reshape(len(self.features), -1).T
        costs = np.sum([self.cost(s, (ways == s) @ self.features) for s in range(len(self.shares))], axis=0)
        return ways[costs.argmin()]

    def _totals(self, side: Ints) -> Float64Array:
        return np.stack([self.features[side == s].sum(0) for s in range(len(self.shares))])

    def _total_cost(self, side: Ints) -> float:
        return sum(float(self.cost(s, totals)) for s, totals in enumerate(self._totals(side)))

    def _improved(self, side: Ints) -> Ints:
        for _ in range(_MAX_STEPS):
            totals = self._totals(side)
            steps = self._moves(side, totals) + self._exchanges(side, totals)
            change, changed = min(steps, key=lambda step: step[0], default=(0.0, {}))
            if change > -1e-9:
                break
            for group, new in changed.items():
                side[group] = new
        return side

    def _deal_out(self, *, large_first: bool) -> Ints:
        """Assign groups in random order, or by approximate size, each to the side where it adds least to the cost."""
        order = list(range(len(self.features)))
        self.random.shuffle(order)
        if large_first:
            order.sort(key=lambda group: -int(self.features[group, 0] / self.features[:, 0].min()).bit_length())
        side = np.empty(len(order), np.intp)
        totals = np.zeros_like(self.targets)
        for group in order:
            added = [
                self.cost(s, totals[s] + self.features[group]) - self.cost(s, totals[s])
                for s in range(len(self.shares))
            ]
            side[group] = int(np.argmin(added))
            totals[side[group]] += self.features[group]
        return side

    def _moves(self, side: Ints, totals: Float64Array) -> list[tuple[float, dict[int, int]]]:
        """Return the best move of a group between each pair of sides: the change in cost, and the group's new side."""
        steps = []
        for a in range(len(self.shares)):
            own = np.flatnonzero(side == a)
            left = self.cost(a, totals[a] - self.features[own]) - self.cost(a, totals[a])
            for b in range(len(self.shares)):
                if b != a and len(own):
                    change = left + self.cost(b, totals[b] + self.features[own]) - self.cost(b, totals[b])
                    best = int(change.argmin())
                    steps.append((float(change[best]), {int(own[best]): b}))
        return steps

    def _exchanges(self, side: Ints, totals: Float64Array) -> list[tuple[float, dict[int, int]]]:
        """Return the best exchange of two groups between each pair of sides, among a sample of each side's groups."""
        count = len(self.shares)
        samples = []
        for s in range(count):
            own = np.flatnonzero(side == s).tolist()
            samples.append(self.random.sample(own, min(len(own), max(8, _EXCHANGES // count))))
        steps = []
        for a in range(count):
            for b in range(a + 1, count):
                if samples[a] and samples[b]:
                    gain = self.features[samples[b]][None] - self.features[samples[a]][:, None]
                    change = self.cost(a, totals[a] + gain) + self.cost(b, totals[b] - gain)
                    i, j = np.unravel_index(int(change.argmin()), change.shape)
                    before = self.cost(a, totals[a]) + self.cost(b, totals[b])
                    steps.append((float(change[i, j] - before), {samples[a][i]: b, samples[b][j]: a}))
        return steps
