"""Find and load a SAM by the name that the user gives."""

from pathlib import Path

import torch
from transformers import PreTrainedModel, SamModel

from promise_seg.arguments import check_place
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.sam.backbone import Backbone, weights_sha256
from promise_seg.sam.folders import model_from_folder
from promise_seg.sam.kinds import freeze, size_of
from promise_seg.sam.known import KNOWN_SAMS, fetched, only_size
from promise_seg.sam.nano import NANO_WEIGHTS, untrained_nano
from promise_seg.sam.official_files import load_official
from promise_seg.sam.pickles import PICKLE_SUFFIXES, SAFETENSORS_SUFFIX, check_finite, read_safetensors
from promise_seg.sam.resizing import resize
from promise_seg.sam.weight_files import WeightFormat, weight_format

NANO = "nano"
WEIGHT_SUFFIXES = PICKLE_SUFFIXES | {SAFETENSORS_SUFFIX}


def load_nano(path: Path = NANO_WEIGHTS) -> SamModel:
    """Load the nano SAM with the weights in the package, or with weights that ``promise pretrain`` wrote.

    Raises:
        CheckpointError: if the file cannot be read, or is not a nano SAM.
    """
    model = untrained_nano()
    try:
        state = {name: tensor.float() for name, tensor in read_safetensors(path).items()}
        check_finite(state, str(path))
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: cannot be read as weights of a nano SAM: {reason}") from error
    return model


@torch.random.fork_rng(devices=[])  # the initial random weights must not change the caller's random state
def load_sam(source: str = NANO, device: str | torch.device = "cpu", image_size: int | None = None) -> Backbone:
    """Load and freeze a SAM.

    Args:
        source: ``nano`` for the built-in SAM; a name from ``promise sam list`` that was fetched; a ``.safetensors``
            file of ``promise pretrain``; a file of official weights of SAM, SAM-HQ or SAM 2 (``.pth``, ``.pt`` or
            ``.safetensors``); or a folder or hub name of any kind of SAM (:data:`~promise_seg.sam.kinds.KINDS`).
        device: the device for the model.
        image_size: the input size in pixels, if it differs from that of training; see
            :func:`~promise_seg.sam.resizing.resize`.

    Raises:
        CheckpointError: if there is no such SAM, or its weights do not fit.
        SettingsError: if the SAM cannot be used at that input size.
    """
    check_place(source, "--sam")
    path = Path(source)
    notes: tuple[str, ...] = ()
    model: PreTrainedModel
    if source == NANO:
        model = load_nano()
    elif source in KNOWN_SAMS:
        model, notes = model_from_file(fetched(source))
    elif path.suffix in WEIGHT_SUFFIXES or path.is_file():
        model, notes = model_from_file(path)
    else:
        model = model_from_folder(source)
    sha256 = weights_sha256(model)
    only = only_size(source)
    trained_at = only or size_of(model)
    if only is not None and image_size not in (None, only):
        raise SettingsError(
            f"--image-size {image_size}: {source} is a MedSAM2 by its name, which was trained at {only} px and is "
            f"meant for no other size. Give --image-size {only}, or none"
        )
    side = trained_at if image_size is None else image_size
    model = resize(model, side)
    if side != trained_at:
        notes += (resized_note(trained_at, side),)
    elif only is not None:
        notes += (f"used at {side} px, as a MedSAM2 is, though its weights do not tell",)
    return freeze(model.to(device), source, sha256, notes, trained_at)


def resized_note(trained_at: int, side: int) -> str:
    """Return the note on a SAM that is used at another input size than it was trained at, both in pixels."""
    return (
        f"used at {side} px, although it was trained at {trained_at} px: its position parameters are interpolated, as "
        "is usual for another input size"
    )


def notes_with_trained_model(sam: Backbone) -> tuple[str, ...]:
    """Return the notes on the SAM of a trained model, without that on its input size, which is that of training."""
    return tuple(note for note in sam.notes if note != resized_note(sam.trained_at, sam.image_size))


def model_from_file(path: Path) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """Read a nano SAM, or an official SAM, SAM-HQ or SAM 2, from a file of any format; return it with notes.

    Raises:
        CheckpointError: if the file cannot be read, or does not have the parameters of any of these models.
    """
    if weight_format(path) == WeightFormat.SAFETENSORS:
        nano = {name: tensor.shape for name, tensor in untrained_nano().state_dict().items()}
        if {name: tensor.shape for name, tensor in read_safetensors(path).items()} == nano:
            return load_nano(path), ()
    return load_official(path)
