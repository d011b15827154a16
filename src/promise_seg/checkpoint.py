"""Checkpoints: small folders with ``config.json`` and ``model.safetensors``, without the frozen weights of SAM."""

import logging
from pathlib import Path

import torch
from torch import Tensor

from promise_seg.class_sets import class_folder, is_class_set, read_class_set
from promise_seg.errors import CheckpointError, SettingsError, no_checkpoint_words
from promise_seg.model import SAM_BESIDE, ModelConfig, PromiseModel
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import load_sam
from promise_seg.sam.pickles import PICKLE_SUFFIXES, check_finite, read_safetensors
from promise_seg.sam.weight_files import WeightFormat, weight_format
from promise_seg.storage.files import recover_folder, replacing_folder
from promise_seg.storage.sealed import read_sealed, write_sealed
from promise_seg.storage.tensor_files import write_tensors
from promise_seg.vocabulary import EncoderPrecision

_LOG = logging.getLogger(__name__)

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
BEST_FOLDER = "best"
LAST_FOLDER = "last"
RUN_PARTS = (BEST_FOLDER, LAST_FOLDER)
SAM_FOLDER = "sam"


def save_checkpoint(model: PromiseModel, folder: str | Path) -> None:
    """Write a checkpoint, completely or not at all, including the SAM if its config says so.

    Raises:
        PromiseError: if the folder cannot be written.
    """
    with replacing_folder(folder) as temporary:
        write_sealed(temporary / CONFIG_FILE, model.config.model_dump(mode="json"))
        write_tensors(temporary / WEIGHTS_FILE, model.trainable_state())
        if model.config.sam == SAM_BESIDE:
            model.sam.save(temporary / SAM_FOLDER)


def find_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint folder that ``path`` refers to: itself, or the best checkpoint of a training run.

    A checkpoint that a killed process had moved aside is put back first.

    Raises:
        CheckpointError: if there is no checkpoint, or a model for each of several classes.
    """
    path = Path(path)
    for folder in (path, path / BEST_FOLDER):
        recover_folder(folder)
        if (folder / CONFIG_FILE).exists():
            return folder
    if is_class_set(path):
        folders = ", ".join(class_folder(path, label).name for label in read_class_set(path))
        raise CheckpointError(
            f"{path}: contains one model per class; expected a single model. Give the folder of one of them: {folders}"
        )
    raise CheckpointError(no_checkpoint_words(path))


def run_folder(checkpoint: Path) -> Path:
    """Return the folder of the run that a checkpoint is in; for a checkpoint outside of runs, its own folder."""
    return checkpoint.parent if checkpoint.name in RUN_PARTS else checkpoint


def write_config(config: ModelConfig, folder: Path) -> None:
    """Replace the config of a checkpoint, completely or not at all; its weights stay.

    Raises:
        PromiseError: if the file cannot be written.
    """
    write_sealed(folder / CONFIG_FILE, config.model_dump(mode="json"))


def read_config(folder: Path) -> ModelConfig:
    """Read and check ``config.json``.

    Raises:
        CheckpointError: if the file is damaged, of an unknown version, or has unknown or invalid values.
    """
    path = folder / CONFIG_FILE
    try:
        values = read_sealed(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}. Restore it, or give another checkpoint") from error
    return ModelConfig.of_any_version(values, str(path))


def load_checkpoint(
    path: str | Path,
    sam: Backbone | str | None = None,
    device: str | torch.device = "cpu",
    encoder_precision: EncoderPrecision | None = None,
) -> PromiseModel:
    """Load a model, in evaluation mode.

    Args:
        path: a checkpoint folder, the output folder of ``promise train``, or a ``.pt`` or ``.pth`` file of the
            published ProMISe code.
        sam: the SAM that the checkpoint belongs to, or where to find it; by default the place noted in the checkpoint.
        device: device that the model is loaded on; if ``sam`` is a loaded SAM, the model is on its device instead.
        encoder_precision: precision of SAM's encoder; by default that of training or, with a warning, single
            precision if the device does not support that of training.

    Raises:
        SettingsError: if the device does not support ``encoder_precision``.
        CheckpointError: if files are missing or damaged, keys are missing or unexpected, or the SAM does not match.
    """
    if is_reference_file(path):
        model = _load_reference(Path(path), sam, device)
        if encoder_precision is not None:
            model.sam = model.sam.in_precision(encoder_precision)
        return model
    folder = find_checkpoint(path)
    config = read_config(folder)
    if not isinstance(sam, Backbone):
        source = sam or (str(folder / SAM_FOLDER) if config.sam == SAM_BESIDE else config.sam)
        try:
            sam = load_sam(source, device, config.image_size)
        except SettingsError as error:
            raise CheckpointError(
                f"{folder}: was trained on the SAM {config.sam!r} (sha256 {config.sam_sha256[:12]}) at "
                f"{config.image_size} px, but {source!r} is a different one, which does not support that size. Give "
                "the SAM of the training with --sam"
            ) from error
    if sam.image_size != config.image_size:
        raise CheckpointError(
            f"{folder}: was trained at {config.image_size} px, but {sam.name!r} was loaded for {sam.image_size} px. "
            f"Load the SAM with image_size={config.image_size}"
        )
    sam = sam.with_sha256(config.sam_sha256)
    if sam.sha256 != config.sam_sha256:
        raise CheckpointError(
            f"{folder}: was trained on the SAM {config.sam!r} (sha256 {config.sam_sha256[:12]}), but {sam.name!r} has "
            f"other weights (sha256 {sam.sha256[:12]}). Give the SAM of the training with --sam"
        )
    given = encoder_precision
    sam = _encoding_as_in_training(sam, config, folder) if given is None else sam.in_precision(given)
    model = PromiseModel(config, sam)
    state = read_weights(folder)
    check_finite(state, str(folder / WEIGHTS_FILE))
    model.load_trainable_state(state, str(folder / WEIGHTS_FILE))
    return model.eval()


def _encoding_as_in_training(sam: Backbone, config: ModelConfig, folder: Path) -> Backbone:
    """Return the SAM with the encoder precision of training or, with a warning, fp32 if its device lacks that."""
    try:
        return sam.in_precision(config.encoder_precision)
    except SettingsError:
        _LOG.warning(
            "%s: was trained with --encoder-precision %s, which %s does not support. SAM encodes in fp32 instead, so "
            "masks may differ slightly",
            folder, config.encoder_precision, sam.device.type,
        )  # fmt: skip
        return sam.in_precision(EncoderPrecision.FP32)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read ``model.safetensors``: the trained tensors by their names, on the CPU.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    weights = folder / WEIGHTS_FILE
    if weight_format(weights) != WeightFormat.SAFETENSORS:
        raise CheckpointError(f"{weights}: is not a safetensors file. Copy it again from its source")
    return read_safetensors(weights)


def is_reference_file(path: str | Path) -> bool:
    """Whether a path is that of a checkpoint file of the published code rather than of a checkpoint folder."""
    path = Path(path)
    return path.suffix in PICKLE_SUFFIXES and not path.is_dir()


def _load_reference(path: Path, sam: Backbone | str | None, device: str | torch.device) -> PromiseModel:
    from promise_seg.compat.reference import load_reference

    if sam is not None:
        raise CheckpointError(f"{path}: a checkpoint of the published code contains its own SAM. Leave out --sam")
    return load_reference(path, device)
