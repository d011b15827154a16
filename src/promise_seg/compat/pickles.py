"""Read PyTorch's pickled state dicts without letting them run code, whatever wraps or prefixes them."""

import pickle
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from promise_seg.errors import CheckpointError

PICKLE_SUFFIXES = frozenset({".pth", ".pt", ".bin"})
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_DATA_PARALLEL = "module."


class PickledState(NamedTuple):
    """Tensors by name, on the CPU and in single precision, and what had to be done to them, in words."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


def read_state(path: str | Path) -> PickledState:
    """Read a ``.pth`` or ``.pt`` file with the restricted unpickler, which admits tensors and plain containers only.

    A state dict may stand alone or under ``model``, ``state_dict`` or ``model_state_dict``. The prefix ``module.`` of
    ``DataParallel`` is taken off, tensors of other devices come to the CPU, half precision becomes single precision.

    Raises:
        CheckpointError: if the file cannot be read, needs the full unpickler, or holds no state dict.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: cannot be read: {reason} Only files that hold nothing but tensors are opened, as others can run "
            "code; save its state_dict() alone."
        ) from error
    notes = []
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            notes.append(f"taken from under {wrapper!r}")
            break
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(f"{path}: not a state dict: expected a mapping from parameter names to tensors")
    if all(name.startswith(_DATA_PARALLEL) for name in content):
        content = {name.removeprefix(_DATA_PARALLEL): v for name, v in content.items()}
        notes.append("prefix 'module.' of DataParallel taken off")
    narrow = {str(v.dtype).removeprefix("torch.") for v in content.values() if v.dtype in (torch.half, torch.bfloat16)}
    if narrow:
        notes.append(f"{' and '.join(sorted(narrow))} made single precision")
    tensors = {name: v.float() if v.is_floating_point() else v for name, v in content.items()}
    return PickledState(tensors, tuple(notes))


def differences(found: dict[str, Tensor], expected: dict[str, Tensor], limit: int = 12) -> str | None:
    """Names that are missing, unexpected or of another shape, in words; ``None`` if there are none."""
    shapes = [
        f"{name} is {tuple(found[name].shape)}, expected {tuple(expected[name].shape)}"
        for name in sorted(found.keys() & expected.keys())
        if found[name].shape != expected[name].shape
    ]
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": shapes,
    }
    parts = []
    for kind, names in faults.items():
        if names:
            more = f" and {len(names) - limit} more" if len(names) > limit else ""
            parts.append(f"{len(names)} {kind}: {', '.join(names[:limit])}{more}")
    return "; ".join(parts) or None
