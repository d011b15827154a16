"""Read pickled state dicts of PyTorch without letting them run code, whatever wraps or prefixes them."""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from promise_seg.errors import CheckpointError

PICKLE_SUFFIXES = frozenset({".pth", ".pt", ".bin"})
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_DATA_PARALLEL = "module."


class PickledState(NamedTuple):
    """Tensors by name, on the CPU and in single precision, with notes on how they were converted.

    ``narrow`` has the types of tensors that were stored in half precision.
    """

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    narrow: dict[str, torch.dtype]


def read_state(path: str | Path) -> PickledState:
    """Read a ``.pth`` or ``.pt`` file with the restricted unpickler, which admits tensors and plain containers only.

    The state dict may be the whole file, or under ``model``, ``state_dict`` or ``model_state_dict``. The prefix
    ``module.`` of ``DataParallel`` is removed, tensors move to the CPU, and half precision becomes single precision.

    Raises:
        CheckpointError: if the file cannot be read, needs the full unpickler, or holds no state dict.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except Exception as error:  # a damaged or foreign file can make the unpickler raise anything
        if isinstance(error, pickle.UnpicklingError):
            reason = "it contains more than tensors, and is not opened because such files can run code"
        else:
            reason = f"damaged, or not a PyTorch file ({type(error).__name__})"
        raise CheckpointError(f"{path}: cannot be read: {reason}. Expected only a state_dict()") from error
    notes = []
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            notes.append(f"taken from under {wrapper!r}")
            break
    if (
        not isinstance(content, dict)
        or not content
        or not all(isinstance(name, str) and isinstance(v, Tensor) for name, v in content.items())
    ):
        raise CheckpointError(f"{path}: not a state dict: expected a mapping from parameter names to tensors")
    if all(name.startswith(_DATA_PARALLEL) for name in content):
        content = {name.removeprefix(_DATA_PARALLEL): v for name, v in content.items()}
        notes.append("prefix 'module.' of DataParallel removed")
    narrow = {name: v.dtype for name, v in content.items() if v.dtype in (torch.half, torch.bfloat16)}
    if narrow:
        kinds = sorted({str(dtype).removeprefix("torch.") for dtype in narrow.values()})
        notes.append(f"{' and '.join(kinds)} converted to single precision")
    tensors = {name: v.float() if v.is_floating_point() else v for name, v in content.items()}
    return PickledState(tensors, tuple(notes), narrow)


def list_faults(faults: Mapping[str, Iterable[str]], limit: int = 12) -> str | None:
    """Describe names by what is wrong with them; ``None`` if there are none."""
    parts = []
    for kind, unsorted in faults.items():
        if names := sorted(unsorted):
            more = f" and {len(names) - limit} more" if len(names) > limit else ""
            parts.append(f"{len(names)} {kind}: {', '.join(names[:limit])}{more}")
    return "; ".join(parts) or None


def differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], limit: int = 12) -> str | None:
    """Describe names that are missing, unexpected or of another shape; ``None`` if there are none."""
    shapes = [
        f"{name} is {tuple(found[name].shape)}, expected {tuple(expected[name].shape)}"
        for name in found.keys() & expected.keys()
        if found[name].shape != expected[name].shape
    ]
    faults = {
        "missing": expected.keys() - found.keys(),
        "unexpected": found.keys() - expected.keys(),
        "of another shape": shapes,
    }
    return list_faults(faults, limit)
