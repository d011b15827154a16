"""Decide whether an image contains anything to segment."""

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from promise_seg.arrays import BoolArray, Float64Array
from promise_seg.assessment.thresholds import best_threshold, is_worthwhile, sensitivity_plus_specificity
from promise_seg.trust.signals import Signals
from promise_seg.trust.signed_regression import Line, fit_line, folds, is_enough

SIGNS = {"peak": 1, "predicted_iou": 1, "agreement": 1, "log_area": 1}
"""The sign of each signal: higher values of all of them indicate an object."""
LEAST_OF_A_KIND = 5


class EmptyDetection(BaseModel):
    """The decision that an image is empty: its mask is empty, or the fitted line, if any, is below the threshold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    line: Line | None = None
    threshold: float = 0.0

    @property
    def rule(self) -> str:
        """The decision rule as text."""
        if self.line is None:
            return "nothing here where the mask is empty"
        return (
            f"nothing here where the mask is empty, or where a score of its peak, predicted IoU, agreement and area is "
            f"below {self.threshold:.3f}"
        )

    def nothing_here(self, signals: Sequence[Signals]) -> BoolArray:
        """Decide for each image: (n,)."""
        empty = np.array([one.area_share == 0 for one in signals])
        if self.line is None:
            return empty
        return empty | (self.line.at(_values(signals)) < self.threshold)


def _values(signals: Sequence[Signals]) -> Float64Array:
    return np.array([one.values(tuple(SIGNS)) for one in signals])


def fit_empty_detection(signals: Sequence[Signals], has_object: BoolArray, groups: Sequence[str]) -> EmptyDetection:
    """Fit the decision to images whose mask is not empty, or fall back to the empty mask alone.

    Fitting needs :data:`LEAST_OF_A_KIND` such images without an object and as many with one. The fit is used only if
    it is worthwhile on images of other groups: otherwise it would miss objects for no benefit.

    Shape: ``has_object`` (n,), from the ground truth.
    """
    learned, plain = _learn(signals, has_object, groups), EmptyDetection()
    if learned.line is None:
        return plain
    apart = _out_of_fold(_learn, signals, has_object, groups)
    gain = sensitivity_plus_specificity(apart, has_object) - sensitivity_plus_specificity(
        plain.nothing_here(signals), has_object
    )
    return learned if is_worthwhile(gain, has_object) else plain


def _learn(signals: Sequence[Signals], has_object: BoolArray, groups: Sequence[str]) -> EmptyDetection:
    """Fit the line, with the threshold of the highest balanced accuracy; ties go to the one with the fewest misses."""
    kept = np.flatnonzero([one.area_share > 0 for one in signals])
    truth, of_kept = has_object[kept], [groups[index] for index in kept]
    if min(np.count_nonzero(truth), np.count_nonzero(~truth)) < LEAST_OF_A_KIND or not is_enough(of_kept):
        return EmptyDetection()
    values = _values([signals[index] for index in kept])
    line = fit_line(values, truth.astype(np.float64), SIGNS, of_kept)
    return EmptyDetection(line=line, threshold=best_threshold(line.at(values), truth))


def decide_out_of_fold(signals: Sequence[Signals], has_object: BoolArray, groups: Sequence[str]) -> BoolArray:
    """Decide for each image with a model fitted without its group: (n,)."""
    return _out_of_fold(fit_empty_detection, signals, has_object, groups)


def _out_of_fold(
    fit: Callable[[Sequence[Signals], BoolArray, Sequence[str]], EmptyDetection],
    signals: Sequence[Signals],
    has_object: BoolArray,
    groups: Sequence[str],
) -> BoolArray:
    decisions = fit(signals, has_object, groups).nothing_here(signals)  # kept if there is only one group
    for held_out in folds(groups):
        others = np.flatnonzero(~held_out)
        fitted = fit([signals[i] for i in others], has_object[others], [groups[i] for i in others])
        decisions[held_out] = fitted.nothing_here([signals[i] for i in np.flatnonzero(held_out)])
    return decisions
