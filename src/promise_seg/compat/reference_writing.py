"""Write a model as a checkpoint of the published ProMISe code."""

import io
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from promise_seg.compat.reference_names import EMBEDDED_CONFIG, name_in_reference
from promise_seg.errors import CheckpointError
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import PointCounts
from promise_seg.prompting.apm_cross import CrossConfig
from promise_seg.prompting.apm_resnet import ResnetConfig
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.official import official_state
from promise_seg.storage.files import write_whole
from promise_seg.vocabulary import Fit, MaskChoice, PositionCode


def reference_state(model: PromiseModel) -> dict[str, Tensor]:
    """Return the state of a model under the reference's names, with all of SAM, as its code expects it.

    Raises:
        CheckpointError: if the reference has no counterpart of this model.
    """
    apm = model.config.apm
    if apm is not None and not isinstance(apm, ResnetConfig | CrossConfig):
        raise CheckpointError(f"the reference has no APM {apm.kind}; only resnet and cross can be converted to it")
    if not model.trainable_state():
        raise CheckpointError("a bare SAM has no trained parts to convert")
    if not isinstance(model.sam, FrozenSam) or not model.sam.model.config.vision_config.use_rel_pos:
        raise CheckpointError(
            f"the SAM {model.sam.name!r} has no relative positions, which every SAM of the reference has. Only models "
            "around SAM ViT-B, L or H can be converted"
        )
    state = official_state(model.sam.model)
    for name, value in model.trainable_state().items():
        state[name_in_reference(name)] = value.detach().cpu().contiguous()
    config = json.dumps(model.config.model_dump(mode="json"), sort_keys=True).encode()
    state[EMBEDDED_CONFIG] = torch.from_numpy(np.frombuffer(config, np.uint8).copy())
    return state


def to_reference(model: PromiseModel, path: str | Path) -> tuple[str, ...]:
    """Write a model as a reference checkpoint; return notes on what the reference will do differently.

    Raises:
        CheckpointError: if the reference has no counterpart of this model.
        PromiseError: if the file cannot be written.
    """
    state = reference_state(model)
    write_whole(path, lambda p: _save(state, p))
    config, notes = model.config, []
    if config.mask_choice != MaskChoice.FIRST:
        notes.append(f"the reference always takes the first mask; this model chose {str(config.mask_choice)!r}")
    if model.ips_given is not None:
        notes.append("the reference answers all prompts with the shift of the model's own, given ones too")
    if config.fit != Fit.STRETCH:
        notes.append(f"the reference stretches images; this model was trained with --fit {config.fit}")
    if isinstance(config.apm, PointCounts) and config.apm.num_foreground != config.apm.num_points // 2:
        notes.append(
            f"the reference labels half of its points as foreground; this model {config.apm.num_foreground} of "
            f"{config.apm.num_points}"
        )
    if isinstance(config.apm, CrossConfig) and config.apm.position_code == PositionCode.GEOMETRIC:
        notes.append("the reference uses other frequencies in its position code: its points will differ")
    return tuple(notes)


def _save(state: dict[str, Tensor], path: Path) -> None:
    """Serialise in memory first: on a full disk, ``torch.save`` itself raises an error that looks like a bug."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.write_bytes(buffer.getbuffer())
