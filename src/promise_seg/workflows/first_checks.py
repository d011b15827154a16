"""Checks that need neither images nor the weights of a model, to be made before either is read."""

from collections.abc import Sequence
from pathlib import Path

import torch

from promise_seg.assessment.strata import columns_to_group_by
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.manifest import of_split, scan_manifest
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.reading import DEFAULT_READING, NO_OPTIONS, ReadingOptions
from promise_seg.inference.prompting import check_variant_prompts
from promise_seg.prediction.identity import options_between
from promise_seg.sam.encoder_precision import check_encoder_precision
from promise_seg.storage.files import check_writable
from promise_seg.vocabulary import PromptSource, Split, SplitChoice
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.devices import pick_device
from promise_seg.workflows.encoding import parse_encoder_precision
from promise_seg.workflows.model_ref import ModelRef
from promise_seg.workflows.models import ClassModels, Model, ModelLike, OpenModels, of_all_classes, open_models
from promise_seg.workflows.outputs import check_output_place
from promise_seg.workflows.training_rows import check_manifest_as_trained


def check_before_scoring(
    model: ModelLike | OpenModels,
    data: Dataset | str | Path,
    *,
    split: str,
    output: str | Path | None = None,
    device: str | torch.device = "auto",
    encoder_precision: str | None = None,
    prompts: Sequence[str] = (),
    by: str | Sequence[str] = (),
    reading: ReadingOptions = NO_OPTIONS,
) -> None:
    """Check the arguments of an evaluation, a budget or a report as far as possible without images and weights.

    Nothing is written. Whatever is loaded already, models or rows, is not checked.

    Args:
        model: the models, or the name of them.
        data: a data set, or its manifest. Rows that cannot be used are reported later, together with their files.
        split: the split to score.
        output: folder for the results.
        device: the device for the models.
        encoder_precision: the precision of SAM's encoder.
        prompts: the sources of the prompts.
        by: the columns to group means by.
        reading: the options for reading files that the user gave.

    Raises:
        SettingsError: if an option is invalid, or the model cannot make such prompts.
        ManifestError: if the manifest as a whole cannot be used, or has no such rows.
        CheckpointError: if there is no such model, or its config cannot be read.
        PromiseError: if the folder cannot be written.
    """
    of = chosen(SplitChoice, split, "--split")
    sources = [chosen(PromptSource, one, "--prompts") for one in prompts]
    if output is not None:
        check_output_place(output)
    if not isinstance(data, Dataset):
        _check_manifest(data, of, by)
    if isinstance(model, str | Path | ModelRef):
        _check_model(ModelRef.resolve(model), device, encoder_precision, sources, reading)


def check_before_learning(
    model: ModelLike | OpenModels,
    data: Dataset | str | Path | None,
    kept: str,
    *,
    val_share: float | None = None,
    seed: int | None = None,
    device: str | torch.device = "auto",
) -> ModelRef:
    """Check the arguments of a calibration or a tuning as far as possible without images and weights.

    Args:
        model: the models, or the name of them.
        data: the data set of training, or its manifest; ``None`` if no rows are needed.
        kept: a description of what is to be saved in the folders of the models, for messages.
        val_share, seed: the share and the seed of val rows to split off the train rows, as given.
        device: the device for the models.

    Returns:
        The reference to the models.

    Raises:
        SettingsError: if an option is invalid, a model has no checkpoint folder to save to, or it was loaded with other
            options than in training.
        ManifestError: if the manifest as a whole cannot be used, or val rows cannot be split off.
        CheckpointError: if there is no such model, or a file next to it is damaged.
        PromiseError: if a folder of a model cannot be written.
    """
    if isinstance(model, str | Path | ModelRef):
        pick_device(device)
        ref = ModelRef.resolve(model)
    else:
        ref = open_models(model).ref
        _check_as_trained(model, kept)
    for part, folder in ref.checkpoints(kept):
        check_writable(folder)
        if data is not None:
            check_manifest_as_trained(data, part, val_share=val_share, seed=seed)
    return ref


def _check_as_trained(model: Model | ClassModels | OpenModels, kept: str) -> None:
    """Check that loaded models make the masks that their folders stand for.

    What is stored in these folders is used by everyone who loads the models later, without such options.

    Raises:
        SettingsError: if they also segment images that they judge to be empty, or read images with other options than
            in training.
    """
    for part, one in open_models(model):
        if one.always_segments:
            raise SettingsError(
                f"{part.name}: was loaded with always_segment=True, but {kept} is stored for masks without it. Load "
                "the model without this option"
            )
    if isinstance(model, OpenModels):
        return
    for each in model.values() if isinstance(model, ClassModels) else [model]:
        trained = each.as_trained.config.reading
        if each.reading != trained:
            raise SettingsError(
                f"{each.part.name}: reads images with {options_between(each.reading, trained)}, but {kept} is stored "
                "for images that are read as in training. Load the model without these options"
            )


def _check_manifest(data: str | Path, split: SplitChoice, by: str | Sequence[str]) -> None:
    rows, problems = scan_manifest(data)
    if problems:
        return
    chosen_rows = rows if split == SplitChoice.ALL else of_split(rows, Split(split))
    if not chosen_rows:
        raise ManifestError(f"{data}: no {split} rows; choose another --split")
    columns_to_group_by(by, chosen_rows)


def _check_model(
    ref: ModelRef,
    device: str | torch.device,
    encoder_precision: str | None,
    prompts: Sequence[PromptSource],
    reading: ReadingOptions,
) -> None:
    place, precision = pick_device(device), parse_encoder_precision(encoder_precision)
    if precision is not None:
        check_encoder_precision(precision, place)
    for part in ref.parts:
        variant = part.variant()
        for source in prompts:
            if variant is not None:
                check_variant_prompts(variant, source)
    as_trained = DEFAULT_READING if ref.parts[0].is_bare else ref.reading()
    if as_trained is not None:
        of_rows = reading.applied_to(of_all_classes(as_trained) if ref.is_class_set else as_trained)
        reading.check_overlaps(of_rows)
