"""A cautious linear regression of a few signals on few images: the sign of each weight is known in advance.

scipy's ``nnls`` solves least squares with known signs exactly and in one call. scikit-learn's ``Ridge(positive=True)``
only approximates the solution iteratively, and its ``GroupKFold`` balances folds by size, so it would group other
images into a fold.
"""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator
from scipy.optimize import nnls

from promise_seg.arrays import BoolArray, Float64Array

RIDGE = 4.0
"""The strength of the ridge penalty, which shrinks weights like that many additional uninformative images."""
LEAST_IMAGES = 8
FOLDS = 10


class Line(BaseModel):
    """A linear function: ``mean`` plus, for each signal, its weight times its standardised value."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    names: tuple[str, ...]
    mean: float
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if len({len(self.names), len(self.centres), len(self.scales), len(self.weights)}) != 1:
            raise ValueError("names, centres, scales and weights must have the same length")
        return self

    def standardised(self, values: Float64Array) -> Float64Array:
        """Standardise values (n, signals), as the weights expect them."""
        return (values - np.array(self.centres)) / np.array(self.scales)

    def at(self, values: Float64Array) -> Float64Array:
        """Evaluate the function: (n, signals) to (n,)."""
        return self.mean + self.standardised(values) @ np.array(self.weights)


def fit_line(values: Float64Array, targets: Float64Array, signs: dict[str, int], groups: Sequence[str]) -> Line:
    """Fit by ridge regression; a weight that would have the wrong sign is 0.

    With fewer than :data:`LEAST_IMAGES` images, or with a single group, all weights are 0: the line is the mean.

    Shape: ``values`` (n, signals), in the order of ``signs`` (1: more is better, -1: less is better); ``targets`` (n,).
    """
    scales = values.std(0)
    plain = Line(
        names=tuple(signs),
        mean=float(targets.mean()),
        centres=tuple(values.mean(0).tolist()),
        scales=tuple(np.where(scales > 1e-9, scales, 1.0).tolist()),
        weights=(0.0,) * len(signs),
    )
    if not is_enough(groups):
        return plain
    weights = _weights(plain.standardised(values), targets, np.array(list(signs.values()), np.float64))
    return plain.model_copy(update={"weights": tuple(weights.tolist())})


def is_enough(groups: Sequence[str]) -> bool:
    """Whether there are enough images and groups to fit more than the mean."""
    return len(groups) >= LEAST_IMAGES and len(set(groups)) > 1


def _weights(standardised: Float64Array, targets: Float64Array, signs: Float64Array) -> Float64Array:
    oriented = (standardised - standardised.mean(0)) * signs
    ridge = np.sqrt(RIDGE) * np.eye(len(signs))
    found, _ = nnls(np.vstack([oriented, ridge]), np.concatenate([targets - targets.mean(), np.zeros(len(signs))]))
    return np.asarray(found * signs)


def out_of_fold(
    values: Float64Array, targets: Float64Array, signs: dict[str, int], groups: Sequence[str]
) -> Float64Array:
    """Predict each image with weights that were fitted without its group: (n,).

    Mean, centres and scales are those of all images: a mean without the image would be lower for better images, and
    would thus rank images against their targets if the signals carry no information.
    """
    line = fit_line(values, targets, signs, groups)
    predicted = line.at(values)
    if not is_enough(groups):
        return predicted
    standardised, directions = line.standardised(values), np.array(list(signs.values()), np.float64)
    for held_out in folds(groups):
        weights = _weights(standardised[~held_out], targets[~held_out], directions)
        predicted[held_out] = line.mean + standardised[held_out] @ weights
    return predicted


def folds(groups: Sequence[str]) -> Iterator[BoolArray]:
    """Yield the held-out images of up to :data:`FOLDS` cross-validation folds of whole groups; none for one group."""
    names = sorted(set(groups))
    if len(names) < 2:
        return
    order = np.random.default_rng(0).permutation(len(names))
    fold_of = {names[index]: place % min(FOLDS, len(names)) for place, index in enumerate(order.tolist())}
    numbers = np.array([fold_of[group] for group in groups])
    for fold in range(min(FOLDS, len(names))):
        yield numbers == fold
