"""A calibrated trust model for the masks that a model makes with its own prompts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from promise_seg.arrays import Float64Array
from promise_seg.assessment.evaluation import Result
from promise_seg.assessment.metrics import score_mask
from promise_seg.assessment.summary import EvaluationSummary
from promise_seg.assessment.trust_quality import TrustQuality
from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.features.store import FeatureStore
from promise_seg.images.geometry import Geometry
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, counted, silent
from promise_seg.quantities import count_in_words
from promise_seg.sam.features import Features
from promise_seg.trust.calibration_report import measure_trust
from promise_seg.trust.empty_detection import EmptyDetection
from promise_seg.trust.neighbours import Neighbours
from promise_seg.trust.signals import MaskWithSignals, Signals, measure_signals
from promise_seg.trust.signed_regression import LEAST_IMAGES, Line

FORMAT_VERSION: Literal[1] = 1
"""The version of the format; increase it when the same image would give different signals."""
ENOUGH_GROUPS = 32
"""The number of groups of val rows from which the quality of trust scores is known to about 20 %.

Source: ``benchmarks/trust_val_images.py``.
"""
FLATTERING = (
    "trust was calibrated on the val rows among these images, so its quality is overestimated here; promise calibrate "
    "prints the cross-validated quality"
)
UNCOMBINED = (
    "trust and nothing here judge the mask of each slice before the slices are combined, so their quality is measured "
    "on these masks, not on the combined masks that the other scores are about"
)
UNGATED = (
    "trust was calibrated on masks that are empty if the model judges an image to be without an object. With "
    "--always-segment such images get other masks, so their trust scores are less reliable"
)


def is_ungated(model: PromiseModel) -> bool:
    """Whether a model also segments images that it judges to be empty, unlike during calibration."""
    return model.always_segments and model.config.presence_threshold is not None


@dataclass(frozen=True)
class Trust:
    """The trust in a model's own mask of one image: the expected Dice, in [0, 1], whether there is nothing in the
    image, and the signals that both are computed from."""

    score: float
    nothing_here: bool
    signals: Signals


class Calibration(BaseModel):
    """A calibration, and the hashes of everything it was fitted on.

    Args:
        model_sha256: the hash of the only state of the model that it is valid for.
        train_sha256, val_sha256: hashes of the rows.
        val_images: hashes of the images of the val rows, in order.
        line: the regression from signals to Dice.
        empty_detection: the decision from signals whether the image is empty; ``presence`` in files.
        quality: the quality of both on the validation rows, cross-validated over groups.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    format_version: Literal[1] = FORMAT_VERSION
    model_sha256: str
    train_sha256: str
    val_sha256: str
    val_images: tuple[str, ...]
    line: Line
    empty_detection: EmptyDetection = Field(alias="presence")
    quality: TrustQuality

    def as_json(self) -> str:
        """Return the JSON text for files."""
        return self.model_dump_json(by_alias=True)

    def is_of(self, train: Sequence[CheckedRow], val: Sequence[CheckedRow]) -> bool:
        """Whether it was fitted on exactly these rows."""
        return (self.train_sha256, self.val_sha256) == (data_sha256(train), data_sha256(val))

    def was_learned_on(self, rows: Sequence[CheckedRow]) -> bool:
        """Whether some rows have images that it was fitted on, whatever their split."""
        return not {row.image_sha256 for row in rows}.isdisjoint(self.val_images)


@dataclass(frozen=True)
class TrustModel:
    """The trust model of one model: a calibration, and the training images to compare with.

    Args:
        calibration: the calibration.
        neighbours: the training images.
        val_groups: the number of groups of the val rows; ``None`` if the calibration was read from a file.
        error_of_absolute_error: the standard error, over groups, of the cross-validated mean absolute error; ``None``
            for one group, and if the calibration was read from a file.
    """

    calibration: Calibration
    neighbours: Neighbours
    val_groups: int | None = None
    error_of_absolute_error: float | None = None

    @property
    def why_constant(self) -> str:
        """The reason why all images have the same trust score; empty if the scores depend on the image."""
        if any(self.calibration.line.weights):
            return ""
        images = self.calibration.quality.images
        if images < LEAST_IMAGES:
            return f"at least {LEAST_IMAGES} val images are needed, and there {'is' if images == 1 else 'are'} {images}"
        if self.val_groups == 1:
            return f"all {images} val images are of one group; at least two groups are needed"
        useless = f"no signal is higher for better masks of the {images} val images"
        return useless if self.val_groups else f"the {images} val images are of one group, or {useless}"

    @property
    def why_uncertain(self) -> str:
        """A sentence on how uncertain the quality of trust scores is that were just fitted to few groups; empty for
        :data:`ENOUGH_GROUPS` and more, for constant scores, and if the calibration was read from a file."""
        error, groups = self.error_of_absolute_error, self.val_groups
        if self.why_constant or error is None or groups is None or groups >= ENOUGH_GROUPS:
            return ""
        quality = self.calibration.quality
        images = count_in_words(quality.images, "val image")
        of_groups = "" if groups == quality.images else f" of {groups} groups"
        return (
            f"trust is fitted to only {images}{of_groups}, so its quality is uncertain: its mean absolute error is "
            f"{quality.mean_absolute_error:.3f} with a standard error of {error:.3f}. Use val rows of at least "
            f"{ENOUGH_GROUPS} groups if you can"
        )

    def sha256(self) -> str:
        """Return the hash of everything that determines a trust score."""
        content = self.calibration.as_json().encode() + self.neighbours.embeddings.numpy().tobytes()
        return hashlib.sha256(content).hexdigest()

    def trust_in(self, model: PromiseModel, features: Features, geometry: Geometry) -> Trust:
        """Return how far the mask that the model makes of one image with its own prompts can be trusted.

        Args:
            model: the model that this was calibrated for.
            features: the features of one image.
            geometry: the geometry of that image.
        """
        return self.of_signals(measure_signals(model, features, geometry, self.neighbours).signals)

    def of_signals(self, signals: Signals) -> Trust:
        """Compute trust from signals."""
        score = trust_scores(self.calibration.line, [signals])[0]
        return Trust(float(score), bool(self.calibration.empty_detection.nothing_here([signals])[0]), signals)


def trust_scores(line: Line, signals: Sequence[Signals]) -> Float64Array:
    """Return the expected Dice of each image: (n,), in [0, 1]."""
    return np.clip(line.at(np.array([one.values(line.names) for one in signals])), 0, 1)


def trust_in_rows(
    model: PromiseModel,
    trust: TrustModel,
    rows: Sequence[CheckedRow],
    store: FeatureStore | None = None,
    progress: Progress = silent,
) -> list[Trust]:
    """Return how far the mask of each row can be trusted, in order; no ground truth is read."""
    judged = counted(rows, progress, "judging", "trust")
    return [trust.of_signals(_own_mask(model, trust, row, store).signals) for row in judged]


def _own_mask(model: PromiseModel, trust: TrustModel, row: CheckedRow, store: FeatureStore | None) -> MaskWithSignals:
    """Return the mask (H, W) that trust judges: that of the row's image alone, with its signals."""
    sample = Sample.of(row, model.sam, model.config.fit)
    return measure_signals(model, model_features([sample], model, store), sample.geometry, trust.neighbours)


def add_trust(
    model: PromiseModel,
    trust: TrustModel,
    results: Sequence[Result],
    store: FeatureStore | None = None,
    progress: Progress = silent,
) -> tuple[list[Result], TrustQuality]:
    """Add trust to the results of a model's own masks, and return them with the quality of the trust scores.

    Trust judges the mask of each image alone. The quality of a slice that was combined with its volume is therefore
    measured with the Dice of its mask before that, not with the Dice of the result.
    """
    rows = [result.checked for result in results]
    found, dice = [], []
    for result in counted(results, progress, "judging", "trust"):
        own = _own_mask(model, trust, result.checked, store)
        found.append(trust.of_signals(own.signals))
        dice.append(result.scores.dice if result.joined is None else _dice(own, result.checked))
    quality = measure_trust(
        np.array([one.score for one in found]),
        np.array(dice),
        [row.row.group for row in rows],
        np.array([one.nothing_here for one in found]),
        np.array([row.foreground_pixels > 0 for row in rows]),
        trust.calibration.empty_detection.rule,
    )
    pairs = zip(results, found, strict=True)
    return [replace(result, trust=one.score, nothing_here=one.nothing_here) for result, one in pairs], quality


def _dice(own: MaskWithSignals, row: CheckedRow) -> float:
    return score_mask(own.mask.astype(np.float32), row.mask(), own.mask).dice


def with_trust(
    summary: EvaluationSummary, trust: TrustModel, quality: TrustQuality, results: Sequence[Result]
) -> EvaluationSummary:
    """Return a summary with the quality of the trust scores, whether they were calibrated on these images, and for how
    many slices they judge another mask than the scored one."""
    rows = [result.checked for result in results]
    return summary.with_trust(
        quality,
        calibrated_on_these_rows=trust.calibration.was_learned_on(rows),
        uncombined_slices=sum(result.joined is not None for result in results),
    )
