"""Learn how far to trust each mask, and how masks are best post-processed: on the val rows of models' trainings."""

from dataclasses import dataclass
from pathlib import Path

import torch

from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.tuning import Tuned
from promise_seg.assessment.tuning import tune as search
from promise_seg.assessment.volume_tuning import TunedVolumes, tune_volumes
from promise_seg.checkpoint import write_config
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.inference.apm_cache import caching_apm_outputs
from promise_seg.model import PromiseModel
from promise_seg.postprocessing import NO_POST, PostProcessing
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.trust.calibrating import calibrate as learn
from promise_seg.trust.calibrating import check_calibratable, recalibrate
from promise_seg.trust.trust_file import latest_trust, save_trust
from promise_seg.trust.trust_model import TrustModel
from promise_seg.vocabulary import PromptSource, Split
from promise_seg.workflows.evaluation import as_store, data_name, rows_of_part
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.models import ModelLike, OpenModels, open_models
from promise_seg.workflows.noting import Note, no_note
from promise_seg.workflows.training_rows import check_train_rows, check_val_rows, data_as_trained

CALIBRATION, POSTPROCESSING = "a calibration", "post-processing"
"""A description of what is kept beside a model."""


@dataclass(frozen=True)
class Calibrated:
    """The calibration of one model's masks, and the file that it was written to."""

    name: str
    trust: TrustModel
    file: Path


@dataclass(frozen=True)
class Tuning:
    """How one model's masks are post-processed from now on.

    Args:
        name: what the user calls the model.
        chosen: what is done to masks.
        tuned: what else was tried; ``None`` where everything was undone.
        volumes: how the slices of volumes come together, if there are volumes among the val rows; otherwise ``None``.
        prompts: where prompts came from.
        images: how many there were.
        trust: learned anew, where the model was calibrated.
        folder: the checkpoint that keeps it.
    """

    name: str
    chosen: PostProcessing
    tuned: Tuned | None
    volumes: TunedVolumes | None
    prompts: PromptSource
    images: int
    trust: TrustModel | None
    folder: Path


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
    """Learn on the val rows how far to trust each mask; kept beside the model, used by evaluation and prediction.

    Training does this by itself; this is for models of before, or after their folder lost it.

    Args:
        model: a trained model or what names one; each model of a set is calibrated.
        data: the data that it was trained with; test rows are not used.
        sam: the model's SAM, if not where training found it.
        val_share: share of the train rows to validate on, where there are no val rows; by default that of training.
        seed: of that choice; by default that of training.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's.
        mask_threshold: grey mask values above it are foreground; by default as in training.
        progress: told of each image.
        note: told what a user should know of the rows, a line each.

    Raises:
        SettingsError: if a model is not of ours, has no APM, or was trained on val rows or not on train rows.
        ManifestError: if there are no such rows, or files of them cannot be read.
        CheckpointError: if a model cannot be loaded.
    """
    opened = open_models(model, sam=sam, device=device)
    folders = [folder for _, folder in opened.ref.checkpoints(CALIBRATION)]
    for _, one in opened:
        check_calibratable(one)
    calibrated = []
    with caching_apm_outputs(opened.models):
        for (part, one), folder in zip(opened, folders, strict=True):
            rows = data_as_trained(
                data,
                part,
                one,
                val_share=val_share,
                seed=seed,
                mask_threshold=mask_threshold,
                progress=progress,
                note=note,
            )
            rows = rows_of_part(rows, part, one)
            check_val_rows(rows.val, data_name(data), part)
            check_train_rows(rows.train, data_name(data), part)
            rows = rows.to_learn()
            trust = learn(one, rows.train, rows.val, as_store(store), progress)
            calibrated.append(Calibrated(part.name, trust, save_trust(trust, folder)))
    return calibrated


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
    """Choose threshold, opening, closing, holes and parts on the val rows; kept in the model, used everywhere.

    If val rows are slices of volumes, how these come together and what is done to their mask in 3-D is chosen too.

    Args:
        model: a trained model or what names one; each model of a set is tuned.
        data: the data that it was trained with, or other data; only val rows are used.
        reset: go back to the threshold 0.5 and nothing else, and to slices by themselves.
        sam: the model's SAM, if not where training found it.
        val_share: share of the train rows to validate on, where there are no val rows; by default that of training.
        seed: of that choice; by default that of training.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's.
        mask_threshold: grey mask values above it are foreground; by default as in training.
        progress: told of each image.
        note: told what a user should know of the rows, a line each.

    Raises:
        SettingsError: if a model is not of ours, or was trained on val rows.
        ManifestError: if there are no val rows, or files of them cannot be read.
        CheckpointError: if a model cannot be loaded.
    """
    opened = open_models(model, sam=sam, device=device)
    folders = [folder for _, folder in opened.ref.checkpoints(POSTPROCESSING)]
    found = []
    with caching_apm_outputs(opened.models):
        for (part, one), folder in zip(opened, folders, strict=True):
            trust = latest_trust(folder, one)  # also of a tuning that was interrupted before it calibrated
            rows = None
            if trust is not None or not reset:
                rows = data_as_trained(
                    data, part, one, val_share=val_share, seed=seed, mask_threshold=mask_threshold, split=Split.VAL,
                    progress=progress, note=note,
                )  # fmt: skip
                rows = rows_of_part(rows, part, one)
                check_val_rows(rows.val, data_name(data), part)
            tuned = volumes = None
            if not reset and rows is not None:
                tuned, volumes = _search(one, rows, as_store(store), progress)
            found.append(_kept(part, one, folder, tuned, volumes, trust, rows, as_store(store), progress))
    return found


def _source(model: PromiseModel) -> PromptSource:
    return PromptSource.APM if model.apm is not None else PromptSource.ORACLE


def _search(
    model: PromiseModel, rows: Dataset, store: FeatureStore, progress: Progress
) -> tuple[Tuned, TunedVolumes | None]:
    if not rows.val:
        raise SettingsError(f"{data_name(rows)}: no val rows to choose on")
    if model.apm is None:  # oracle points are of single tiles, own prompts of whole images
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
    """Write the config, and learn trust anew on the same val rows: it is of masks as they are post-processed."""
    chosen = NO_POST if tuned is None else tuned.chosen
    rule = volumes.chosen if volumes is not None and volumes.chosen.changes else None
    model.config = model.config.model_copy(update={"postprocessing": chosen, "volumes": rule})
    write_config(model.config, folder)
    if trust is not None and rows is not None:
        trust = recalibrate(model, trust, rows.to_learn().val, store, progress)
        save_trust(trust, folder)
    return Tuning(
        part.name, chosen, tuned, volumes, _source(model), 0 if rows is None else len(rows.val), trust, folder
    )
