"""Exported graphs whose outputs are not PyTorch's are refused."""

import pytest
import torch
from torch import Tensor

from promise_seg.errors import SettingsError
from promise_seg.exporting.comparing import compare
from promise_seg.exporting.graph import Graph, Port
from promise_seg.exporting.tracing import write_graph

pytestmark = pytest.mark.usefixtures("onnx")


class Ratios(Graph):
    """Ratios of numbers, some of which may be 0."""

    def __init__(self, *numbers: float) -> None:
        port = Port("numbers", (len(numbers),), torch.float32, "numbers")
        super().__init__("ratios", "the ratios", [port], [Port("ratios", port.shape, port.dtype, "their ratios")])
        self._numbers = torch.tensor(numbers)

    def forward(self, numbers: Tensor) -> tuple[Tensor, ...]:
        return (numbers / numbers.flip(0),)

    def _examples(self) -> list[dict[str, Tensor]]:
        return [{"numbers": torch.ones(len(self._numbers))}, {"numbers": self._numbers}]


def test_the_same_outputs_agree(tmp_path):
    graph = Ratios(1.0, 2.0, 3.0)
    write_graph(graph, tmp_path, 17)
    agreement = compare(graph, tmp_path)
    assert (agreement.file, agreement.cases) == ("ratios.onnx", 2)
    assert agreement.difference < 1e-6


def test_outputs_that_are_no_numbers_are_refused(tmp_path):
    graph = Ratios(1.0, 0.0, 3.0)
    write_graph(graph, tmp_path, 17)
    with pytest.raises(SettingsError, match=r"the ratios was exported, but its outputs differ from PyTorch's by nan"):
        compare(graph, tmp_path)
