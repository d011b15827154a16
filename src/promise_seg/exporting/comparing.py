"""Check that exported files give the same outputs as PyTorch."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from promise_seg.errors import SettingsError, first_line
from promise_seg.exporting.graph import Graph

TOLERANCE = 1e-3
"""Maximum difference from PyTorch's outputs: absolute, or relative to the largest value if that is above 1."""


@dataclass(frozen=True)
class Agreement:
    """The agreement of an exported file with PyTorch.

    Args:
        file: name of the file.
        cases: number of inputs that were tried.
        difference: largest difference of any output, measured as for :data:`TOLERANCE`.
    """

    file: str
    cases: int
    difference: float


def compare(graph: Graph, folder: Path) -> Agreement:
    """Run an exported graph on all its examples on the CPU, and compare the outputs with PyTorch's.

    Raises:
        SettingsError: if ONNX Runtime cannot run the graph, or if outputs differ by more than :data:`TOLERANCE`.
    """
    examples = graph.examples
    try:
        session = open_session(folder / graph.file)
        names = {port.name for port in session.get_inputs()} | {p.name for p in session.get_overridable_initializers()}
        found = [session.run(None, arrays_of(example, names)) for example in examples]
    except Exception as error:  # exceptions of ONNX Runtime have no common base class
        raise SettingsError(
            f"{graph.part} was exported, but ONNX Runtime cannot run it: {first_line(error)}"
        ) from error
    differences = []
    for example, values in zip(examples, found, strict=True):
        for (name, wanted), value in zip(graph.run(example).items(), values, strict=True):
            if tuple(wanted.shape) != value.shape:
                shapes = f"{value.shape} instead of {tuple(wanted.shape)}"
                raise SettingsError(f"{graph.part} was exported, but its output {name} has the shape {shapes}")
            differences.append(_difference(wanted, torch.from_numpy(value)))
    worst = float(np.max(differences, initial=0.0))  # NaN if one of them is
    if not worst <= TOLERANCE:
        raise SettingsError(
            f"{graph.part} was exported, but its outputs differ from PyTorch's by {worst:.2g}; expected at most "
            f"{TOLERANCE:g}. Another --opset, or another version of onnxruntime, may do better"
        )
    return Agreement(graph.file, len(examples), worst)


def open_session(path: Path, threads: int = 0) -> Any:
    """Open a session of ONNX Runtime on the CPU with a number of threads; 0 for all."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def arrays_of(tensors: dict[str, Tensor], names: Collection[str]) -> dict[str, np.ndarray]:
    """Return the tensors with one of the names as arrays."""
    return {name: tensor.numpy() for name, tensor in tensors.items() if name in names}


def _difference(wanted: Tensor, found: Tensor) -> float:
    if not wanted.numel():
        return 0.0
    scale = max(1.0, float(wanted.abs().max()))
    return float((wanted.double() - found.double()).abs().max()) / scale
