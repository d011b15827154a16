"""A part of a model that becomes an ONNX file: named tensors in, named tensors out."""

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
        name: of the tensor.
        shape: sizes, and names of those that are not fixed.
        dtype: of its values.
        about: its meaning, for the description.
        default: its value where an input is left out; ``None`` if it must be given.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: torch.dtype
    about: str
    default: Tensor | None = None

    @property
    def open_axes(self) -> dict[int, str]:
        """The axes whose size is not fixed, with their names."""
        return {axis: size for axis, size in enumerate(self.shape) if isinstance(size, str)}


class Graph(nn.Module, ABC):
    """A part of a model.

    Args:
        name: of its file.
        part: what messages call it.
        inputs: in the order of the arguments of :meth:`forward`.
        outputs: in the order of what it returns.
    """

    def __init__(self, name: str, part: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        super().__init__()
        self.training = False  # or the exporter would put what is inside back into training mode
        self.name, self.part = name, part
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.onnx"

    @cached_property
    def examples(self) -> list[dict[str, Tensor]]:
        """Inputs by their names: the graph is traced with the first, and compared on all of them."""
        return self._examples()

    @abstractmethod
    def _examples(self) -> list[dict[str, Tensor]]:
        """Make the examples."""

    def run(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs for inputs, as PyTorch computes them."""
        arguments = [given.get(port.name, port.default) for port in self.inputs]
        with torch.no_grad():
            found = self(*arguments)
        return {port.name: value for port, value in zip(self.outputs, found, strict=True)}


def ports_of(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> list[Port]:
    """Return ports of the names, shapes and types of tensors, with what is said about each name."""
    return [
        Port(name, tuple(value.shape), value.dtype, next(text for key, text in about.items() if name.startswith(key)))
        for name, value in tensors.items()
    ]


def noise(*shape: int, seed: int, high: float = 1.0) -> Tensor:
    """Return random numbers from 0 to ``high``, the same on every machine."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * high
