"""Safely read pickled state dicts of PyTorch, without running code from them, and remove wrappers and prefixes."""

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor

from promise_seg.errors import CheckpointError, first_line
from promise_seg.sam.weight_files import WeightFormat, weight_format
from promise_seg.storage.tensor_files import DamagedError, load_tensors

PICKLE_SUFFIXES = frozenset({".pth", ".pt", ".bin"})
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_WRAPPING_PARTS = {"module": "DataParallel", "_orig_mod": "torch.compile"}
_FOREIGN = re.compile(r"(?:GLOBAL|global:?|class) ['\"]?([\w.]+\.\w+)")
_SAFE_TORCH = (2, 10)
SAFETENSORS_SUFFIX = ".safetensors"


class PickledState(NamedTuple):
    """Tensors by name, on the CPU and in single precision, with notes on how they were converted.

    ``narrow`` holds the original data types of tensors that were stored in half precision.
    """

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    narrow: dict[str, torch.dtype]


def read_state(path: str | Path) -> PickledState:
    """Read a ``.pth`` or ``.pt`` file with the restricted unpickler, which accepts only tensors and plain containers.

    The state dict may be the whole file, or under ``model``, ``state_dict`` or ``model_state_dict``. Safetensors files
    are read too, whatever their name. The prefixes ``module.`` of ``DataParallel`` and ``_orig_mod.`` of
    ``torch.compile`` are removed, tensors are moved to the CPU, and half precision is converted to single precision.

    Raises:
        CheckpointError: if the file cannot be read, needs the full unpickler, is not a state dict, or has NaN or
            infinite values.
    """
    notes: list[str] = []
    if weight_format(path) == WeightFormat.SAFETENSORS:
        content: Any = read_safetensors(path)
        if Path(path).suffix != SAFETENSORS_SUFFIX:
            notes.append("is a file of safetensors")
    else:
        content = _unpickled(path)
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
    for part, origin in _WRAPPING_PARTS.items():
        plain = {_without(name, part): v for name, v in content.items()}
        if plain.keys() != content.keys() and len(plain) == len(content):
            content = plain
            notes.append(f"prefix '{part}.' of {origin} removed")
    narrow = {name: v.dtype for name, v in content.items() if v.dtype in (torch.half, torch.bfloat16)}
    if narrow:
        kinds = sorted({str(dtype).removeprefix("torch.") for dtype in narrow.values()})
        notes.append(f"{' and '.join(kinds)} converted to single precision")
    tensors = {name: v.float() if v.is_floating_point() else v for name, v in content.items()}
    check_finite(tensors, str(path))
    return PickledState(tensors, tuple(notes), narrow)


def _without(name: str, part: str) -> str:
    """Remove from a dotted name, at any position, the part that a wrapper inserted."""
    return ".".join(one for one in name.split(".") if one != part)


def _unpickled(path: str | Path) -> Any:
    check_torch(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file can make the unpickler raise anything
        if isinstance(error, pickle.UnpicklingError):
            named = _FOREIGN.search(str(error))
            what = f"more than tensors ({named[1]})" if named else "more than tensors"
            reason = f"it contains {what}, and is not opened because such files can run code"
            way_out = (
                "Expected only a state_dict(). Where you trust its origin, save its weights alone, in Python: "
                "torch.save(torch.load(FILE, weights_only=False)['model'], NEW_FILE), with the key that they are under"
            )
        else:
            reason = f"damaged, or not a PyTorch file ({type(error).__name__})"
            way_out = "Expected only a state_dict()"
        raise CheckpointError(f"{path}: cannot be read: {reason}. {way_out}") from error


def check_torch(path: str | Path) -> None:
    """Check that this version of PyTorch can open pickled files safely.

    Source: CVE-2026-24747: before PyTorch 2.10, a file can corrupt memory even with ``weights_only``.

    Raises:
        CheckpointError: if PyTorch is older than 2.10.
    """
    found = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if found < _SAFE_TORCH:
        raise CheckpointError(
            f"{path}: not opened: PyTorch {torch.__version__} is open to attacks by such files (CVE-2026-24747). "
            "Install torch 2.10 or newer, or give the weights as .safetensors"
        )


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read a safetensors file, whatever its name; return its tensors by name, on the CPU.

    Raises:
        CheckpointError: if the file cannot be read or is damaged.
    """
    try:
        return load_tensors(Path(path)).tensors
    except DamagedError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {first_line(error)}. Copy it again from its source") from error


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Check that weights are finite; otherwise every mask would be empty or arbitrary.

    Raises:
        CheckpointError: if weights are NaN or infinite; the message names the first three parameters.
    """
    bad = [name for name, v in tensors.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise CheckpointError(
            f"{where}: {len(bad)} of its {len(tensors)} parameters hold NaN or infinity ({', '.join(bad[:3])}{more}): "
            "its training diverged, or the file is damaged. Use an earlier checkpoint"
        )


def list_faults(faults: Mapping[str, Iterable[str]], limit: int = 12) -> str | None:
    """List the names of parameters by kind of fault, at most ``limit`` of each; ``None`` if there are none."""
    parts = []
    for kind, unsorted in faults.items():
        if names := sorted(unsorted):
            more = f" and {len(names) - limit} more" if len(names) > limit else ""
            parts.append(f"{len(names)} {kind}: {', '.join(names[:limit])}{more}")
    return "; ".join(parts) or None


def differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], limit: int = 12) -> str | None:
    """List the names of tensors that are missing, unexpected or of another shape; ``None`` if there are none."""
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
