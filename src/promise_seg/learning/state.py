"""Optimizer state on disk without pickle: tensors as safetensors, everything else as JSON inside the same file."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from promise_seg.storage.tensor_files import load_tensors, save_tensors


def save_training_state(
    path: Path, optimizers: Sequence[Optimizer], tensors: dict[str, Tensor], facts: dict[str, Any]
) -> None:
    """Write the state of optimizers, named tensors and JSON-serialisable facts to one file, whole or not at all."""
    flat = {f"model/{name}": t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    plain: list[dict[str, dict[str, Any]]] = []
    groups = []
    for number, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        groups.append(state["param_groups"])
        plain.append({str(index): {} for index in state["state"]})
        for index, entries in state["state"].items():
            for name, value in entries.items():
                if isinstance(value, Tensor):
                    flat[f"optimizer/{number}/{index}/{name}"] = value.detach().cpu().contiguous()
                else:
                    plain[number][str(index)][name] = value
    meta = {"facts": facts, "param_groups": groups, "plain": plain}
    save_tensors(path, flat, {"state": json.dumps(meta)})


def load_training_state(
    path: Path, optimizers: Sequence[Optimizer], check: Callable[[dict[str, Any]], object] | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Load a saved state into the same optimizers; return the named tensors and the facts.

    Args:
        path: the path of the file.
        optimizers: the optimizers, in the order in which they were saved.
        check: called with the facts before any optimizer is changed; it may raise an error of its own.

    Raises:
        OSError, SafetensorError, KeyError, ValueError, TypeError: if the file is damaged, or of other optimizers.
    """
    tensors, metadata = load_tensors(path)
    meta = json.loads(metadata["state"])
    if check is not None:
        check(meta["facts"])
    states: list[dict[int, dict[str, Any]]] = [
        {int(index): dict(entries) for index, entries in plain.items()} for plain in meta["plain"]
    ]
    named: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        section, rest = key.split("/", 1)
        if section == "model":
            named[rest] = tensor
        else:
            number, index, name = rest.split("/", 2)
            states[int(number)][int(index)][name] = tensor
    for optimizer, state, groups in zip(optimizers, states, meta["param_groups"], strict=True):
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    return named, meta["facts"]
