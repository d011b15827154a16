"""Calibrate trust scores and tune post-processing on the validation rows of a model's training."""

from dataclasses import dataclass
from pathlib import Path

import torch

from promise_seg.arguments import checks_arguments
from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.tuning import Tuned
from promise_seg.assessment.tuning import tune as search
from promise_seg.assessment.volume_tuning import TunedVolumes, tune_volumes
from promise_seg.checkpoint import write_config
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.inference.apm_cache import caching_apm_outputs
from promise_seg.learning.instance_choices import choose_instance_rule
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.rules.postprocessing import NO_POST, PostProcessing
from promise_seg.sam.backbone import Backbone
from promise_seg.trust.calibrating import calibrate as learn
from promise_seg.trust.calibrating import check_calibratable, recalibrate
from promise_seg.trust.trust_file import latest_trust, save_trust
from promise_seg.trust.trust_model import TrustModel
from promise_seg.vocabulary import MaskKind, PromptSource, Split
from promise_seg.workflows.evaluation import as_store, data_name, rows_of_part
from promise_seg.workflows.first_checks import check_before_learning
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.models import ClassModels, Model, ModelLike, OpenModels, open_models
from promise_seg.workflows.noting import Note, no_note
from promise_seg.workflows.training_rows import check_train_rows, check_val_rows, data_as_trained

CALIBRATION, POSTPROCESSING = "a calibration", "post-processing"
"""The kinds of files that are stored next to a model, for messages."""


@dataclass(frozen=True)
class Calibrated:
    """The calibration of one model's masks, and the file that it was written to."""

    name: str
    trust: TrustModel
    file: Path


@dataclass(frozen=True)
class Tuning:
    """The post-processing that one model's masks have from now on.

    Args:
        name: what the user calls the model.
        chosen: the chosen post-processing.
        tuned: all settings that were tried; ``None`` if the tuning was reset.
        volumes: how the slices of a volume are combined; ``None`` if no val rows are slices of volumes.
        prompts: the source of the prompts.
        images: the number of val rows.
        trust: the recalibrated trust model, if the model was calibrated.
        folder: the checkpoint that stores the post-processing.
        instances: how objects are separated at the new threshold; ``None`` for models that do not separate objects.
    """

    name: str
    chosen: PostProcessing
    tuned: Tuned | None
    volumes: TunedVolumes | None
    prompts: PromptSource
    images: int
    trust: TrustModel | None
    folder: Path
    instances: InstanceRule | None = None


@checks_arguments("data", "sam", "val_share", "seed", "store", "mask_threshold", "progress", "note")
def calibrate(
    model: ModelLike | OpenModels,
    data: Dataset | str | Path,
    *,
    sam: Backbone | str | None = None,
    val_share: float | None = None,
    seed: int | None = None,
    device: str | torch.device = "auto",
    store: str | Path | FeatureStore | None = None,
    mask_threshold: float | None = None,
    progress: Progress = silent,
    note: Note = no_note,
) -> list[Calibrated]:
    """Calibrate trust scores on the val rows; stored next to the model, and used by evaluation and prediction.

    Training does this itself; use it for models trained with earlier versions, or if a folder lost its calibration.

    Args:
        model: a trained model, or the name of one; each model of a set is calibrated.
        data: the data that it was trained with; test rows are not used.
        sam: the model's SAM, if it is no longer where training found it.
        val_share: share of the train rows to validate on if there are no val rows; by default that of training.
        seed: seed of that split; by default the one used in training.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's.
        mask_threshold: grey levels of masks above it are foreground; by default as in training.
        progress: called for each image.
        note: called with each line that the user should know about the rows.

    Raises:
        SettingsError: if a model is in another format, has no APM, was trained on val rows, or was not trained on some
            train rows.
        ManifestError: if there are no such rows, or files of them cannot be read.
        CheckpointError: if a model cannot be loaded.
    """
    kept = as_store(store)
    check_before_learning(model, data, CALIBRATION, val_share=val_share, seed=seed, device=device)
    opened = open_models(model, sam=sam, device=device)
    folders = [folder for _, folder in opened.ref.checkpoints(CALIBRATION)]
    for _, one in opened:
        check_calibratable(one)
    calibrated = []
    with caching_apm_outputs(opened.models):
        for (part, one), folder in zip(opened, folders, strict=True):
            rows = data_as_trained(
                data, part, one, val_share=val_share, seed=seed, mask_threshold=mask_threshold, progress=progress,
                note=note,
            )  # fmt: skip
            rows = rows_of_part(rows, part, one)
            check_val_rows(rows.val, data_name(data), part)
            check_train_rows(rows.train, data_name(data), part)
            rows = rows.to_learn()
            trust = learn(one, rows.train, rows.val, kept, progress)
            calibrated.append(Calibrated(part.name, trust, save_trust(trust, folder)))
            _give_trust(model, part, trust)
    return calibrated


@checks_arguments("data", "sam", "reset", "val_share", "seed", "store", "mask_threshold", "progress", "note")
def tune_postprocess(
    model: ModelLike | OpenModels,
    data: Dataset | str | Path,
    *,
    reset: bool = False,
    sam: Backbone | str | None = None,
    val_share: float | None = None,
    seed: int | None = None,
    device: str | torch.device = "auto",
    store: str | Path | FeatureStore | None = None,
    mask_threshold: float | None = None,
    progress: Progress = silent,
    note: Note = no_note,
) -> list[Tuning]:
    """Tune threshold, opening, closing, holes and components on the val rows; stored in the model and used everywhere.

    If val rows are slices of volumes, the combination of slices and the 3-D post-processing are tuned too. If the model
    separates objects, the rule for that is chosen anew, because the threshold applies to objects too.

    Args:
        model: a trained model, or the name of one; each model of a set is tuned.
        data: the data that it was trained with, or other data; only val rows are used.
        reset: restore the threshold 0.5 without further steps, and slices that are segmented separately.
        sam: the model's SAM, if it is no longer where training found it.
        val_share: share of the train rows to validate on if there are no val rows; by default that of training.
        seed: seed of that split; by default the one used in training.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's.
        mask_threshold: grey levels of masks above it are foreground; by default as in training.
        progress: called for each image.
        note: called with each line that the user should know about the rows.

    Raises:
        SettingsError: if a model is in another format, or was trained on val rows.
        ManifestError: if there are no val rows, or files of them cannot be read.
        CheckpointError: if a model cannot be loaded.
    """
    kept = as_store(store)
    check_before_learning(model, None if reset else data, POSTPROCESSING, val_share=val_share, seed=seed, device=device)
    opened = open_models(model, sam=sam, device=device)
    folders = [folder for _, folder in opened.ref.checkpoints(POSTPROCESSING)]
    found = []
    with caching_apm_outputs(opened.models):
        for (part, one), folder in zip(opened, folders, strict=True):
            trust = latest_trust(folder, one)  # also after a tuning that was interrupted before it calibrated
            rows = None
            if trust is not None or one.config.instances is not None or not reset:
                rows = data_as_trained(
                    data, part, one, val_share=val_share, seed=seed, mask_threshold=mask_threshold, split=Split.VAL,
                    progress=progress, note=note,
                )  # fmt: skip
                rows = rows_of_part(rows, part, one)
                check_val_rows(rows.val, data_name(data), part)
            tuned = volumes = None
            if not reset and rows is not None:
                tuned, volumes = _search(one, rows, kept, progress)
            tuning = _kept(part, one, folder, tuned, volumes, trust, rows, kept, progress)
            found.append(tuning)
            _give_trust(model, part, tuning.trust)
    return found


def _give_trust(model: ModelLike | OpenModels, part: ModelPart, trust: TrustModel | None) -> None:
    """Let the user's loaded model use a new trust model too: the one that it holds belongs to other masks."""
    if isinstance(model, ClassModels) and part.label is not None:
        model = model[part.label]
    if isinstance(model, Model) and trust is not None:
        model.trust_model, model.note = trust, ""


def _source(model: PromiseModel) -> PromptSource:
    return PromptSource.APM if model.apm is not None else PromptSource.ORACLE


def _search(
    model: PromiseModel, rows: Dataset, store: FeatureStore, progress: Progress
) -> tuple[Tuned, TunedVolumes | None]:
    if not rows.val:
        raise SettingsError(f"{data_name(rows)}: no val rows to choose on")
    if model.apm is None:  # oracle points belong to single tiles, own prompts to whole images
        rows = rows.to_learn()
    assessment = Assessment(prompts=_source(model), num_points=model.config.oracle.num_points)
    tuned = search(model, rows.val, assessment, store, progress)
    model.config = model.config.model_copy(update={"postprocessing": tuned.chosen})
    return tuned, tune_volumes(model, rows.val, store, progress)


def _kept(
    part: ModelPart,
    model: PromiseModel,
    folder: Path,
    tuned: Tuned | None,
    volumes: TunedVolumes | None,
    trust: TrustModel | None,
    rows: Dataset | None,
    store: FeatureStore,
    progress: Progress,
) -> Tuning:
    """Write the config; choose anew on the same val rows what depends on the post-processing: trust, and objects."""
    chosen = NO_POST if tuned is None else tuned.chosen
    rule = volumes.chosen if volumes is not None and volumes.chosen.changes else None
    model.config = model.config.model_copy(update={"postprocessing": chosen, "volumes": rule})
    if rows is not None and model.config.instances is not None:
        model.config = model.config.model_copy(update={"instances": _instance_rule(model, rows, store, progress)})
    write_config(model.config, folder)
    if trust is not None and rows is not None:
        trust = recalibrate(model, trust, rows.to_learn().val, store, progress)
        save_trust(trust, folder)
    return Tuning(
        part.name, chosen, tuned, volumes, _source(model), 0 if rows is None else len(rows.val), trust, folder,
        model.config.instances,
    )  # fmt: skip


def _instance_rule(model: PromiseModel, rows: Dataset, store: FeatureStore, progress: Progress) -> InstanceRule | None:
    """Return the rule for separate objects at the model's threshold, chosen as in training; unchanged for other masks.

    Training chooses it before the presence threshold.
    """
    config = model.config
    if not rows.val or rows.val[0].reading.masks != MaskKind.INSTANCES:
        return config.instances
    try:
        model.config = config.model_copy(update={"presence_threshold": None})
        return choose_instance_rule(model, rows.to_learn().val, store, progress)
    finally:
        model.config = config
