"""A cautious linear fit of few numbers to few images: each weight has a sign that is known beforehand.

Least squares with known signs are scipy's ``nnls``, exact and in one call. scikit-learn's ``Ridge(positive=True)``
only comes near by iterating, and its ``GroupKFold`` balances folds by size, so that other images would be held out
together.
"""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, model_validator
from scipy.optimize import nnls

from promise_seg.arrays import Float64Array

RIDGE = 4.0
"""Draws the weights towards 0, as that many more images would of which the signals say nothing."""
LEAST_IMAGES = 8
FOLDS = 10


class Line(BaseModel):
    """``mean`` plus, of each signal, its weight times how many ``scales`` it is from its ``centre``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    names: tuple[str, ...]
    mean: float
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if len({len(self.names), len(self.centres), len(self.scales), len(self.weights)}) != 1:
            raise ValueError("names, centres, scales and weights must be equally many")
        return self

    def standardised(self, values: Float64Array) -> Float64Array:
        """(n, signals), as the weights expect them."""
        return (values - np.array(self.centres)) / np.array(self.scales)

    def at(self, values: Float64Array) -> Float64Array:
        """(n, signals) to (n,)."""
        return self.mean + self.standardised(values) @ np.array(self.weights)


def fit_line(values: Float64Array, targets: Float64Array, signs: dict[str, int], groups: Sequence[str]) -> Line:
    """Least squares with a ridge; a weight whose sign would be the wrong one is 0.

    With fewer than :data:`LEAST_IMAGES` images, or with one group, all are: the line is the targets' mean.

    Shape: ``values`` (n, signals), in the order of ``signs`` (1: more is better, -1: less is); ``targets`` (n,).
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
    """Whether anything but the mean can be learned from images of these groups."""
    return len(groups) >= LEAST_IMAGES and len(set(groups)) > 1


def _weights(standardised: Float64Array, targets: Float64Array, signs: Float64Array) -> Float64Array:
    toward = (standardised - standardised.mean(0)) * signs
    ridge = np.sqrt(RIDGE) * np.eye(len(signs))
    found, _ = nnls(np.vstack([toward, ridge]), np.concatenate([targets - targets.mean(), np.zeros(len(signs))]))
    return np.asarray(found * signs)


def out_of_fold(
    values: Float64Array, targets: Float64Array, signs: dict[str, int], groups: Sequence[str]
) -> Float64Array:
    """What the line says of each image with weights that were fitted without its group: (n,).

    Mean, centres and scales are of all images: a mean without the image would be the lower the better the image is, and
    rank the images against the truth where the signals say nothing.
    """
    line = fit_line(values, targets, signs, groups)
    said = line.at(values)
    if not is_enough(groups):
        return said
    standardised, directions = line.standardised(values), np.array(list(signs.values()), np.float64)
    for held_out in folds(groups):
        weights = _weights(standardised[~held_out], targets[~held_out], directions)
        said[held_out] = line.mean + standardised[held_out] @ weights
    return said


def folds(groups: Sequence[str]) -> Iterator[npt.NDArray[np.bool_]]:
    """Which images are held out, at most :data:`FOLDS` times: whole groups, each once. Nothing for one group."""
    names = sorted(set(groups))
    if len(names) < 2:
        return
    order = np.random.default_rng(0).permutation(len(names))
    fold_of = {names[index]: place % min(FOLDS, len(names)) for place, index in enumerate(order.tolist())}
    numbers = np.array([fold_of[group] for group in groups])
    for fold in range(min(FOLDS, len(names))):
        yield numbers == fold
