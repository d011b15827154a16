"""A calibration on disk, beside the weights that it belongs to: tensors as safetensors, all else as JSON inside."""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from promise_seg.errors import CheckpointError, first_line
from promise_seg.files import write_whole
from promise_seg.model import PromiseModel
from promise_seg.trust.judging import FORMAT_VERSION, Calibration, TrustModel
from promise_seg.trust.neighbours import Neighbours

TRUST_FILE = "trust.safetensors"


class Found(NamedTuple):
    """A calibration that is valid for a model, or none and why."""

    trust: TrustModel | None
    note: str


def save_trust(trust: TrustModel, folder: Path) -> Path:
    """Write ``trust.safetensors`` into a checkpoint folder, whole or not at all; returns its path.

    Raises:
        PromiseError: if it cannot be written.
    """
    path = folder / TRUST_FILE
    metadata = {"calibration": trust.calibration.model_dump_json()}
    write_whole(path, lambda p: save_file({"embeddings": trust.known.embeddings}, p, metadata=metadata))
    return path


def read_trust(path: Path) -> TrustModel:
    """Read what :func:`save_trust` wrote.

    Raises:
        CheckpointError: if it is damaged, of another version, or something else.
    """
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {})["calibration"]
            embeddings = file.get_tensor("embeddings")
        version = json.loads(text).get("format_version")
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: trust of format {version}, but this promise-seg reads format {FORMAT_VERSION}. {_WAY_OUT}"
            )
        _check(embeddings)
        return TrustModel(Calibration.model_validate_json(text), Neighbours(embeddings))
    except ValidationError as error:
        places = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
        raise CheckpointError(f"{path}: not a calibration: wrong at {places}. {_WAY_OUT}") from error
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: damaged, or no calibration: {first_line(error)}. {_WAY_OUT}") from error


_WAY_OUT = "Delete it, or run promise calibrate, which writes it anew."


def _check(embeddings: Tensor) -> None:
    if embeddings.dtype != torch.float16 or embeddings.ndim != 2 or not len(embeddings):
        raise ValueError(f"embeddings are {embeddings.dtype} {tuple(embeddings.shape)}, expected float16 (N, C)")
    if not bool(embeddings.isfinite().all()):
        raise ValueError("embeddings are not finite")


def find_trust(folder: Path, model: PromiseModel) -> Found:
    """The calibration in a checkpoint folder, if it belongs to the model as it is now.

    Raises:
        CheckpointError: if the file is damaged.
    """
    path = folder / TRUST_FILE
    if not path.exists():
        return Found(None, f"no trust scores: {folder} is not calibrated; see promise calibrate")
    trust = read_trust(path)
    channels = trust.known.embeddings.shape[1]
    if trust.calibration.model_sha256 != model.sha256():
        return Found(
            None,
            f"no trust scores: {path} belongs to another state of the model (trained or post-processed otherwise); run "
            "promise calibrate again",
        )
    if channels != model.sam.embedding_channels:
        raise CheckpointError(
            f"{path}: has embeddings of {channels} channels, the model of {model.sam.embedding_channels}. {_WAY_OUT}"
        )
    return Found(trust, "")
