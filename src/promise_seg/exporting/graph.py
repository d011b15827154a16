"""Parts of a model that are exported as ONNX files, with named input and output tensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Args:
        name: name of the tensor.
        shape: size of each axis, or a name if the size is not fixed.
        dtype: type of the values.
        about: meaning of the tensor, for the description of the model.
        default: value of an input that is left out; ``None`` if the input is required.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: torch.dtype
    about: str
    default: Tensor | None = None

    @property
    def open_axes(self) -> dict[int, str]:
        """The axes without a fixed size, with their names."""
        return {axis: size for axis, size in enumerate(self.shape) if isinstance(size, str)}


class Graph(nn.Module, ABC):
    """A part of a model that is exported as one ONNX file.

    Args:
        name: name of the file, without suffix.
        part: name of the part in messages.
        inputs: inputs in the order of the arguments of ``forward``.
        outputs: outputs in the order that ``forward`` returns them.
    """

    def __init__(self, name: str, part: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        super().__init__()
        self.training = False  # otherwise the exporter would put submodules back into training mode
        self.name, self.part = name, part
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)

    @property
    def file(self) -> str:
        """The name of the ONNX file."""
        return f"{self.name}.onnx"

    @cached_property
    def examples(self) -> list[dict[str, Tensor]]:
        """Example inputs by name. The graph is traced with the first example, and compared on all of them."""
        return self._examples()

    @abstractmethod
    def _examples(self) -> list[dict[str, Tensor]]:
        """Create the example inputs."""

    def run(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph with PyTorch, and return its outputs by name."""
        arguments = [given.get(port.name, port.default) for port in self.inputs]
        with torch.no_grad():
            found = self(*arguments)
        return {port.name: value for port, value in zip(self.outputs, found, strict=True)}


def ports_of(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> list[Port]:
    """Return a port for each tensor, with the description whose key is a prefix of its name."""
    return [
        Port(name, tuple(value.shape), value.dtype, next(text for key, text in about.items() if name.startswith(key)))
        for name, value in tensors.items()
    ]


def noise(*shape: int, seed: int, high: float = 1.0) -> Tensor:
    """Return uniform random numbers from 0 to ``high``, the same on every machine."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * high
