"""Find a SAM by the name the user gives."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import SamModel

from promise_seg.compat.official_sam import load_official_sam
from promise_seg.errors import CheckpointError
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.nano import NANO_WEIGHTS, untrained_nano

NANO = "nano"


def load_nano(path: Path = NANO_WEIGHTS) -> SamModel:
    """The nano SAM with the weights of the package, or with others that ``promise pretrain`` wrote.

    Raises:
        CheckpointError: if the file does not hold a nano SAM.
    """
    model = untrained_nano()
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        model.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: cannot be read as weights of a nano SAM: {reason}") from error
    return model


def load_sam(source: str = NANO, device: str | torch.device = "cpu") -> FrozenSam:
    """Load and freeze a SAM.

    Args:
        source: ``nano`` for the built-in one; a ``.safetensors`` file of ``promise pretrain``; an official ``.pth``
            file; or a folder or hub name that ``SamModel.from_pretrained`` takes.
        device: where to put it.

    Raises:
        CheckpointError: if there is no such SAM, or its weights do not fit.
    """
    path = Path(source)
    if source == NANO:
        model = load_nano()
    elif path.suffix == ".safetensors":
        model = load_nano(path)
    elif path.suffix in {".pth", ".pt", ".bin"}:
        model = load_official_sam(path)
    else:
        model = _from_pretrained(source)
    return FrozenSam(model.to(device), source)


def _from_pretrained(source: str) -> SamModel:
    try:
        model, report = SamModel.from_pretrained(source, output_loading_info=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"--sam {source}: no SAM found there: {reason} "
            "Expected nano, an official .pth file, or a folder or hub name with config.json and model.safetensors."
        ) from error
    wrong = {
        kind: sorted(report[kind]) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if report[kind]
    }
    if wrong:
        raise CheckpointError(f"--sam {source}: its weights do not fit a SAM: {wrong}")
    return model
