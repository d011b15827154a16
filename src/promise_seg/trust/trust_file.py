"""Save and load a calibration next to its weights: tensors as safetensors, everything else as JSON metadata."""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from promise_seg.errors import CheckpointError, first_line
from promise_seg.model import PromiseModel
from promise_seg.storage.tensor_files import load_tensors, save_tensors
from promise_seg.trust.neighbours import Neighbours
from promise_seg.trust.trust_model import FORMAT_VERSION, Calibration, TrustModel
from promise_seg.validation import faults_of

TRUST_FILE = "trust.safetensors"
_WAY_OUT = "Delete it, or run promise calibrate to write it again"


class FoundTrust(NamedTuple):
    """A calibration that is valid for a model, or ``None`` and the reason."""

    trust: TrustModel | None
    note: str


def save_trust(trust: TrustModel, folder: Path) -> Path:
    """Write ``trust.safetensors`` into a checkpoint folder, completely or not at all; return its path.

    Raises:
        PromiseError: if the file cannot be written.
    """
    path = folder / TRUST_FILE
    save_tensors(path, {"embeddings": trust.neighbours.embeddings}, {"calibration": trust.calibration.as_json()})
    return path


def read_trust(path: Path) -> TrustModel:
    """Read the calibration that :func:`save_trust` wrote.

    Raises:
        CheckpointError: if the file is damaged, of another version, or not a calibration.
    """
    try:
        tensors, metadata = load_tensors(path)
        text, embeddings = metadata["calibration"], tensors["embeddings"]
        version = json.loads(text).get("format_version")
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: has format version {version}, but this promise-seg reads version {FORMAT_VERSION}. {_WAY_OUT}"
            )
        _check(embeddings)
        return TrustModel(Calibration.model_validate_json(text), Neighbours(embeddings))
    except ValidationError as error:
        raise CheckpointError(f"{path}: not a calibration: {faults_of(error, Calibration)}. {_WAY_OUT}") from error
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: damaged, or not a calibration: {first_line(error)}. {_WAY_OUT}") from error


def _check(embeddings: Tensor) -> None:
    if embeddings.dtype != torch.float16 or embeddings.ndim != 2 or not len(embeddings):
        raise ValueError(f"embeddings are {embeddings.dtype} {tuple(embeddings.shape)}, expected float16 (N, C)")
    if not bool(embeddings.isfinite().all()):
        raise ValueError("embeddings are not finite")


def latest_trust(folder: Path, model: PromiseModel) -> TrustModel | None:
    """Return the calibration in a checkpoint folder even if the post-processing of the model has changed since.

    Its reference of training images is then still valid; the rest must be fitted again. ``None`` if there is no
    calibration, or it belongs to another kind of SAM.

    Raises:
        CheckpointError: if the file is damaged.
    """
    path = folder / TRUST_FILE
    trust = read_trust(path) if path.exists() else None
    is_of_this_sam = trust is not None and trust.neighbours.embeddings.shape[1] == model.sam.embedding_channels
    return trust if is_of_this_sam else None


def find_trust(folder: Path, model: PromiseModel) -> FoundTrust:
    """Return the calibration in a checkpoint folder, if it belongs to the current state of the model.

    Raises:
        CheckpointError: if the file is damaged.
    """
    path = folder / TRUST_FILE
    if not path.exists():
        why = "is not calibrated. promise train does it at its end; otherwise run promise calibrate"
        return FoundTrust(None, f"no trust scores: {folder} {why}")
    trust = read_trust(path)
    channels = trust.neighbours.embeddings.shape[1]
    if trust.calibration.model_sha256 != model.sha256():
        return FoundTrust(
            None,
            f"no trust scores: {path} belongs to another state of the model (other weights or post-processing); run "
            "promise calibrate again",
        )
    if channels != model.sam.embedding_channels:
        raise CheckpointError(
            f"{path}: has {channels} embedding channels, but the model has {model.sam.embedding_channels}. {_WAY_OUT}"
        )
    return FoundTrust(trust, "")
