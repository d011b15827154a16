"""Calibrate on validation rows how far a model's own masks can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from promise_seg.arrays import BoolArray, Float64Array
from promise_seg.assessment.metrics import score_mask
from promise_seg.checkpoint import load_checkpoint, read_config
from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.dataset.tiles import rows_to_learn
from promise_seg.errors import CheckpointError, ManifestError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, encode_images, model_features
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, Stage, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import Features
from promise_seg.trust.calibration_report import error_of_mean, measure_trust
from promise_seg.trust.empty_detection import decide_out_of_fold, fit_empty_detection
from promise_seg.trust.neighbours import Neighbours, pooled
from promise_seg.trust.signals import Signals, measure_signals
from promise_seg.trust.signed_regression import fit_line, out_of_fold
from promise_seg.trust.trust_file import find_trust, save_trust
from promise_seg.trust.trust_model import Calibration, TrustModel
from promise_seg.vocabulary import Split

SIGNS = {"predicted_iou": 1, "agreement": 1, "distance": -1, "soft_dice": 1}
"""The sign of each signal: 1 if higher values indicate a better mask, -1 if they indicate a worse one."""
MOST_NEIGHBOURS = 2000


@dataclass(frozen=True)
class Examples:
    """The signals of validation rows, and their ground truth.

    Shape: ``dice`` (n,) of the model's own masks; ``has_object`` (n,); ``groups`` and ``signals`` have n entries each.
    """

    signals: list[Signals]
    dice: Float64Array
    has_object: BoolArray
    groups: list[str]


def calibrate(
    model: PromiseModel,
    train: Sequence[CheckedRow],
    val: Sequence[CheckedRow],
    store: FeatureStore | None = None,
    progress: Progress = silent,
) -> TrustModel:
    """Store the training images as reference, and fit trust scores to the signals of validation rows.

    Args:
        model: a model with an APM; it is not changed, except that it is put into evaluation mode.
        train: the rows that it was trained on. At most 2,000 of them are used, without augmentation.
        val: rows that it was not trained on, and that no results are reported on.
        store: the feature store; features of training images are read from it, but not added.
        progress: called for each image.

    Raises:
        SettingsError: if the model has no APM, or outputs NaN or infinite masks.
        ManifestError: if there are no train or no val rows.
    """
    _check(model, train, val)
    model.eval()
    drawn = draw_rows(train)
    tick = Stage(progress, "calibrating", len(drawn) + len(val))
    vectors = []
    for row in drawn:
        vectors.append(pooled(_unstored(Sample.of(row, model.sam, model.config.fit), model.sam, store).embedding))
        tick("training images")
    return _learned(model, Neighbours.of(torch.cat(vectors)), data_sha256(train), val, store, tick)


def recalibrate(
    model: PromiseModel,
    old: TrustModel,
    val: Sequence[CheckedRow],
    store: FeatureStore | None = None,
    progress: Progress = silent,
) -> TrustModel:
    """Calibrate again when only the step from features to masks has changed; the training images are reused."""
    _check(model, val, val)
    model.eval()
    tick = Stage(progress, "calibrating", len(val))
    return _learned(model, old.neighbours, old.calibration.train_sha256, val, store, tick)


def ensure_calibrated(
    folder: Path,
    rows: Sequence[CheckedRow],
    store: FeatureStore | None = None,
    sam: Backbone | str | None = None,
    device: str | torch.device = "cpu",
    progress: Progress = silent,
    model: PromiseModel | None = None,
) -> TrustModel | None:
    """Calibrate the model of a checkpoint folder and save the result in it, unless it is calibrated on these rows.

    Args:
        folder: the folder of the checkpoint itself, such as ``run/best``.
        rows: checked rows; only those of ``train`` and ``val`` are used.
        store: the feature store.
        sam: see :func:`~promise_seg.checkpoint.load_checkpoint`.
        device: the device for the model.
        progress: called for each image.
        model: the model, if it is already loaded.

    Returns:
        The calibration; ``None`` for a variant without APM, which has no masks of its own.

    Raises:
        CheckpointError: if the model cannot be loaded.
        SettingsError: if it outputs NaN or infinite masks.
        ManifestError: if there are no train or no val rows.
    """
    if read_config(folder).apm is None:
        return None
    model = model or load_checkpoint(folder, sam, device)
    try:
        known = find_trust(folder, model).trust
    except CheckpointError:
        known = None  # it is damaged, and is written again
    rows = rows_to_learn(rows)
    train, val = ([row for row in rows if row.row.split == split] for split in (Split.TRAIN, Split.VAL))
    if known is not None and known.calibration.is_of(train, val):
        return known
    found = calibrate(model, train, val, store, progress)
    save_trust(found, folder)
    return found


def draw_rows(rows: Sequence[CheckedRow], most: int = MOST_NEIGHBOURS, seed: int = 0) -> list[CheckedRow]:
    """Return a random subset of at most ``most`` rows, independent of their order."""
    ordered = sorted(rows, key=lambda row: row.pixels_sha256)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(ordered))[:most])
    return [ordered[index] for index in chosen]


def check_calibratable(model: PromiseModel) -> None:
    """Check that a model can make masks of its own.

    Raises:
        SettingsError: if the model has no APM.
    """
    if model.apm is None:
        raise SettingsError(
            f"the variant {model.config.variant} has no auto-prompting module, and therefore no masks of its own to "
            "calibrate. Choose a model of variant apm or apm+ips"
        )


def _check(model: PromiseModel, train: Sequence[CheckedRow], val: Sequence[CheckedRow]) -> None:
    check_calibratable(model)
    for name, rows in (("train", train), ("val", val)):
        if not rows:
            raise ManifestError(f"no {name} rows; calibration needs at least one train and one val row")


def _unstored(sample: Sample, sam: Backbone, store: FeatureStore | None) -> Features:
    """Return the embedding of one view without adding it to the store, as it is needed only once."""
    found = None if store is None or sam.encoder_learns else store.get(sample.key(sam), ())
    return found or encode_images(sam, [sample.image()], ())


def _learned(
    model: PromiseModel,
    neighbours: Neighbours,
    train_sha256: str,
    val: Sequence[CheckedRow],
    store: FeatureStore | None,
    tick: Stage,
) -> TrustModel:
    examples = _examples(model, neighbours, val, store, tick)
    _check_numbers(examples.signals)
    values = np.array([one.values(tuple(SIGNS)) for one in examples.signals])
    empty_detection = fit_empty_detection(examples.signals, examples.has_object, examples.groups)
    expected = np.clip(out_of_fold(values, examples.dice, SIGNS, examples.groups), 0, 1)
    calibration = Calibration(
        model_sha256=model.sha256(),
        train_sha256=train_sha256,
        val_sha256=data_sha256(val),
        val_images=tuple(sorted({row.image_sha256 for row in val})),
        line=fit_line(values, examples.dice, SIGNS, examples.groups),
        empty_detection=empty_detection,
        quality=measure_trust(
            expected,
            examples.dice,
            examples.groups,
            decide_out_of_fold(examples.signals, examples.has_object, examples.groups),
            examples.has_object,
            empty_detection.rule,
        ),
    )
    error = error_of_mean(np.abs(expected - examples.dice), examples.groups)
    return TrustModel(calibration, neighbours, len(set(examples.groups)), error)


def _check_numbers(signals: Sequence[Signals]) -> None:
    """Check that all signals are finite; otherwise the training of the model diverged."""
    bad = sum(not np.isfinite(list(vars(one).values())).all() for one in signals)
    if bad:
        raise SettingsError(
            f"{bad} of {len(signals)} val images have NaN or infinite masks: training diverged. Train again with a "
            "lower --learning-rate"
        )


def _examples(
    model: PromiseModel,
    neighbours: Neighbours,
    val: Sequence[CheckedRow],
    store: FeatureStore | None,
    tick: Stage,
) -> Examples:
    signals, dice = [], []
    for row in val:
        sample = Sample.of(row, model.sam, model.config.fit)
        features = model_features([sample], model, store)
        found = measure_signals(model, features, sample.geometry, neighbours)
        signals.append(found.signals)
        dice.append(score_mask(found.mask.astype(np.float32), row.mask(), found.mask).dice)
        tick("validation images")
    has_object = np.array([row.foreground_pixels > 0 for row in val])
    return Examples(signals, np.array(dice), has_object, [row.row.group for row in val])
