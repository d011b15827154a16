"""Whether there is anything to segment in an image at all."""

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from promise_seg.arrays import BoolArray, Float64Array
from promise_seg.trust.lines import Line, fit_line, folds, is_enough
from promise_seg.trust.signals import Signals

SIGNS = {"peak": 1, "predicted_iou": 1, "agreement": 1, "log_area": 1}
"""All speak for an object."""
LEAST_OF_A_KIND = 5
LEAST_GAIN = 0.1
"""In the sum of the shares of images with and without an object that are told rightly."""


class Presence(BaseModel):
    """There is nothing where the mask is empty and, if that could be learned, where the line is below the threshold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    line: Line | None = None
    threshold: float = 0.0

    @property
    def rule(self) -> str:
        """In words."""
        if self.line is None:
            return "nothing here where the mask is empty"
        return (
            f"nothing here where the mask is empty, or below {self.threshold:.3f} in a score of its peak, predicted "
            "IoU, agreement and area"
        )

    def nothing_here(self, seen: Sequence[Signals]) -> BoolArray:
        """The decision for each image: (n,)."""
        empty = np.array([one.area_share == 0 for one in seen])
        if self.line is None:
            return empty
        return empty | (self.line.at(_values(seen)) < self.threshold)


def _values(seen: Sequence[Signals]) -> Float64Array:
    return np.array([one.values(tuple(SIGNS)) for one in seen])


def fit_presence(seen: Sequence[Signals], has_object: BoolArray, groups: Sequence[str]) -> Presence:
    """Learn the decision from images whose mask is not empty, or leave it at the empty mask.

    The former needs :data:`LEAST_OF_A_KIND` such images without an object and as many with one, and that on images of
    other groups it tells both kinds better, by :data:`LEAST_GAIN` and by twice the standard error of a guess: otherwise
    it would take objects away for nothing.

    Shape: ``has_object`` (n,), from the ground truth.
    """
    learned, plain = _learn(seen, has_object, groups), Presence()
    if learned.line is None:
        return plain
    apart = _out_of_fold(_learn, seen, has_object, groups)
    gain = _told_rightly(apart, has_object) - _told_rightly(plain.nothing_here(seen), has_object)
    with_object, without = np.count_nonzero(has_object), np.count_nonzero(~has_object)
    by_luck = 2 * np.sqrt(0.25 / with_object + 0.25 / without)
    return learned if gain >= max(LEAST_GAIN, by_luck) else plain


def _learn(seen: Sequence[Signals], has_object: BoolArray, groups: Sequence[str]) -> Presence:
    """The threshold is where both kinds are told best; of several the one that misses fewest objects."""
    kept = np.flatnonzero([one.area_share > 0 for one in seen])
    truth, of_kept = has_object[kept], [groups[index] for index in kept]
    if min(np.count_nonzero(truth), np.count_nonzero(~truth)) < LEAST_OF_A_KIND or not is_enough(of_kept):
        return Presence()
    values = _values([seen[index] for index in kept])
    line = fit_line(values, truth.astype(np.float64), SIGNS, of_kept)
    return Presence(line=line, threshold=best_threshold(line.at(values), truth))


def best_threshold(scores: Float64Array, truth: BoolArray) -> float:
    """Between the scores (n,) of both kinds, as far as it can be; the lowest of equally good ones."""
    ordered = np.unique(scores)
    tried = np.concatenate([ordered[:1], (ordered[:-1] + ordered[1:]) / 2])
    return float(tried[int(np.argmax([_told_rightly(scores < one, truth) for one in tried]))])


def _told_rightly(nothing_here: BoolArray, has_object: BoolArray) -> float:
    """The share of images with an object that are told rightly, plus that of those without: 1 by chance, 2 at best."""
    return float((~nothing_here)[has_object].mean() + nothing_here[~has_object].mean())


def decide_out_of_fold(seen: Sequence[Signals], has_object: BoolArray, groups: Sequence[str]) -> BoolArray:
    """The decision for each image, learned without its group: (n,)."""
    return _out_of_fold(fit_presence, seen, has_object, groups)


def _out_of_fold(
    fit: Callable[[Sequence[Signals], BoolArray, Sequence[str]], Presence],
    seen: Sequence[Signals],
    has_object: BoolArray,
    groups: Sequence[str],
) -> BoolArray:
    said = fit(seen, has_object, groups).nothing_here(seen)  # stays so where there is only one group
    for held_out in folds(groups):
        others = np.flatnonzero(~held_out)
        found = fit([seen[i] for i in others], has_object[others], [groups[i] for i in others])
        said[held_out] = found.nothing_here([seen[i] for i in np.flatnonzero(held_out)])
    return said
