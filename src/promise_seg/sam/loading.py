"""Find a SAM by the name the user gives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import SamModel
from transformers.utils import logging

from promise_seg.errors import CheckpointError
from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.known import KNOWN_SAMS, fetched
from promise_seg.sam.nano import NANO_WEIGHTS, untrained_nano
from promise_seg.sam.official import hq_note, load_official_sam
from promise_seg.sam.pickles import PICKLE_SUFFIXES, SAFETENSORS_SUFFIX, check_finite, list_faults, read_safetensors
from promise_seg.sam.resizing import resize
from promise_seg.sam.weight_files import WeightFormat, weight_format

NANO = "nano"
WEIGHT_SUFFIXES = PICKLE_SUFFIXES | {SAFETENSORS_SUFFIX}

_HQ_EXTRAS = tuple(
    f"mask_decoder.{name}"
    for name in (
        "hq_token.",
        "hq_mask_mlp.",
        "compress_vit_",
        "encoder_conv",
        "encoder_norm.",
        "mask_conv",
        "mask_norm.",
    )
)
"""The parts that a SAM-HQ of the library has beyond SAM, which was frozen when it was trained."""


def load_nano(path: Path = NANO_WEIGHTS) -> SamModel:
    """The nano SAM with the weights of the package, or with others that ``promise pretrain`` wrote.

    Raises:
        CheckpointError: if the file does not hold a nano SAM.
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


def load_sam(source: str = NANO, device: str | torch.device = "cpu", image_size: int | None = None) -> FrozenSam:
    """Load and freeze a SAM.

    Args:
        source: ``nano`` for the built-in one; a name of ``promise sam list`` that was fetched; a ``.safetensors`` file
            of ``promise pretrain``; a file of official weights, ``.pth`` or ``.safetensors``; or a folder or hub name
            that ``SamModel.from_pretrained`` takes.
        device: where to put it.
        image_size: use it at another input size than it was trained at, in pixels; see
            :func:`~promise_seg.sam.resizing.resize`.

    Raises:
        CheckpointError: if there is no such SAM, or its weights do not fit.
        SettingsError: if it cannot be used at that size.
    """
    path = Path(source)
    notes: tuple[str, ...] = ()
    if source == NANO:
        model = load_nano()
    elif source in KNOWN_SAMS:
        model, notes = load_official_sam(fetched(source))
    elif path.suffix in WEIGHT_SUFFIXES or path.is_file():
        model, notes = _from_file(path)
    else:
        model, notes = _from_pretrained(source)
    sha256 = weights_sha256(model)
    trained_at = model.config.vision_config.image_size
    if image_size not in (None, trained_at):
        model = resize(model, image_size)
        notes += (f"trained at {trained_at} px, used at {image_size} px: position parameters interpolated",)
    return FrozenSam(model.to(device), source, sha256, notes, trained_at)


def _from_file(path: Path) -> tuple[SamModel, tuple[str, ...]]:
    """Read a nano SAM or an official one, in whatever format a file is."""
    if weight_format(path) == WeightFormat.SAFETENSORS:
        nano = {name: tensor.shape for name, tensor in untrained_nano().state_dict().items()}
        if {name: tensor.shape for name, tensor in read_safetensors(path).items()} == nano:
            return load_nano(path), ()
    return load_official_sam(path)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep the library's progress bars off the terminal: whoever loads a SAM prints what there is to say."""
    were_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_shown:
            logging.enable_progress_bar()


def _from_pretrained(source: str) -> tuple[SamModel, tuple[str, ...]]:
    try:
        with _no_bars():
            model, report = SamModel.from_pretrained(
                source, output_loading_info=True, use_safetensors=True, ignore_mismatched_sizes=True,
                dtype=torch.float32,
            )  # fmt: skip
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"--sam {source}: damaged or not a SAM: {str(error).strip().splitlines()[0]}") from error
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"--sam {source}: no SAM found there: {reason} "
            f"Expected nano, {', '.join(KNOWN_SAMS)} (see promise sam list), an official .pth file, or a folder or hub "
            "name with config.json and model.safetensors."
        ) from error
    extras = [name for name in report["unexpected_keys"] if name.startswith(_HQ_EXTRAS)]
    faults = {
        "missing": report["missing_keys"],
        "unexpected": set(report["unexpected_keys"]) - set(extras),
        "of another shape": [
            f"{name} is {tuple(found)}, expected {tuple(expected)}"
            for name, found, expected in report["mismatched_keys"]
        ],
    }
    if wrong := list_faults(faults):
        raise CheckpointError(f"--sam {source}: does not fit a SAM: {wrong}")
    check_finite(model.state_dict(), f"--sam {source}")
    return model, hq_note(len(extras))
