"""The precision of stored features: half precision, or 8 bits with the range of each channel."""

from collections.abc import Mapping

import torch
from torch import Tensor

from promise_seg.sam.features import ALL_STAGES, STAGES, Features
from promise_seg.vocabulary import StorePrecision

_LEVELS = 255
_SCALE, _OFFSET = ".scale", ".offset"
HALF = torch.float16
"""The precision to which features are rounded wherever they are used, so that stored and new ones are identical."""


def packed(features: Features, precision: StorePrecision) -> dict[str, Tensor]:
    """Convert the features of one image (batch size 1) to the tensors of a file, without the batch dimension.

    With 8 bits, each channel of each tensor has its own range, from its least to its largest value, in 256 levels: no
    value is off by more than 1/510 of the range of its channel. Each stage is a separate tensor. Tensors of fewer than
    two dimensions, or with NaN or infinity, stay in half precision.
    """
    half = features.to(HALF)
    if precision == StorePrecision.FP16:
        return {name: tensor[0].cpu() for name, tensor in half.tensors.items()}
    if STAGES in half.tensors:
        half = Features({n: t for n, t in half.tensors.items() if n != STAGES} | _each_stage(half))
    found: dict[str, Tensor] = {}
    for name, tensor in half.tensors.items():
        value = tensor[0].cpu().float()
        if value.ndim < 2 or not bool(value.isfinite().all()):
            found[name] = tensor[0].cpu()
            continue
        axes = [axis for axis in range(value.ndim) if axis != _channel_axis(name, value.ndim)]
        offset = value.amin(axes, keepdim=True)
        scale = (value.amax(axes, keepdim=True) - offset) / _LEVELS
        levels = ((value - offset) / scale.clamp(min=torch.finfo(torch.float32).tiny)).round().clamp(0, _LEVELS)
        found |= {name: levels.to(torch.uint8), name + _SCALE: scale, name + _OFFSET: offset}
    return found


def unpacked(tensors: Mapping[str, Tensor]) -> Features:
    """Convert the tensors of a file, see :func:`packed`, back to the features of one image: float32, batch size 1."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith((_SCALE, _OFFSET)):
            continue
        value = tensor.to(torch.float32)
        if name + _SCALE in tensors:
            value = value * tensors[name + _SCALE] + tensors[name + _OFFSET]
        found[name] = value[None]
    return Features(found)


def belongs_to(name: str) -> str:
    """Return the name of the feature tensor that a tensor in a file belongs to."""
    return name.removesuffix(_SCALE).removesuffix(_OFFSET)


def rounded(features: Features, precision: StorePrecision = StorePrecision.FP16) -> Features:
    """Return features as they are read back from a store of this precision: float32, on their device."""
    if precision == StorePrecision.FP16:
        return features.to(HALF).to(torch.float32)
    device = next(iter(features.tensors.values())).device
    parts = [unpacked(packed(features[n : n + 1], precision)) for n in range(len(features))]
    return Features.cat(parts).to(device)


def _each_stage(features: Features) -> dict[str, Tensor]:
    return {f"stage_{number}": features.stage(number) for number in ALL_STAGES}


def _channel_axis(name: str, ndim: int) -> int:
    """Return the axis of channels: the last for stages, the first for the embedding and other tensors."""
    return ndim - 1 if name.startswith("stage") else 0
