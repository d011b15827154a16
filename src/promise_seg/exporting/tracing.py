"""Trace a PyTorch graph into an ONNX file.

PyTorch's tracing exporter is used because its newer exporter is slower, and cannot export the decoder, whose numbers of
points and boxes may be zero.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from promise_seg.errors import SettingsError, first_line
from promise_seg.exporting.graph import Graph

if TYPE_CHECKING:
    from onnx import ModelProto

LARGEST_FILE = 1_800_000_000
"""Size of the weights in bytes above which they go into a separate file: an ONNX file is limited to 2 GB."""
_EXPM1 = "aten::expm1"


def write_graph(graph: Graph, folder: Path, opset: int) -> list[str]:
    """Write a graph into a folder, with a separate file for its weights if they are too large.

    Args:
        graph: graph in evaluation mode, on the CPU.
        folder: existing folder.
        opset: version of the ONNX operators.

    Returns:
        The names of the inputs in the file; inputs that do not affect the outputs are left out.

    Raises:
        SettingsError: if PyTorch cannot trace the graph, or ONNX lacks an operator.
    """
    import onnx

    raw = folder / f".{graph.name}"  # the exporter writes many files if weights are large
    raw.mkdir()
    _trace(graph, raw / graph.file, opset)
    model = onnx.load(raw / graph.file)
    for path in raw.iterdir():
        path.unlink()
    raw.rmdir()
    _declare(model, graph)
    model.producer_name, model.producer_version = "promise-seg", ""
    if sum(len(weight.raw_data) for weight in model.graph.initializer) > LARGEST_FILE:
        onnx.save_model(
            model, folder / graph.file, save_as_external_data=True, all_tensors_to_one_file=True,
            location=f"{graph.file}.data",
        )  # fmt: skip
    else:
        onnx.save_model(model, folder / graph.file)
    onnx.checker.check_model(folder / graph.file)
    return [value.name for value in model.graph.input]


def _trace(graph: Graph, path: Path, opset: int) -> None:
    first = graph.examples[0]
    ports = (*graph.inputs, *graph.outputs)
    said = io.StringIO()  # a graph that cannot be exported is printed
    try:
        with warnings.catch_warnings(), redirect_stdout(said), _symbols(opset), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                tuple(first.get(port.name, port.default) for port in graph.inputs),
                path,
                input_names=[port.name for port in graph.inputs],
                output_names=[port.name for port in graph.outputs],
                dynamic_axes={port.name: port.open_axes for port in ports if port.open_axes},
                opset_version=opset,
                dynamo=False,
            )
    except OSError:
        raise
    except Exception as error:  # errors of the exporter or of traced code, of many types
        raise SettingsError(
            f"{graph.part} cannot be exported: {first_line(error)}. Its operators have no counterpart in opset {opset} "
            f"of ONNX, or PyTorch {torch.__version__} cannot trace them"
        ) from error


@contextmanager
def _symbols(opset: int) -> Iterator[None]:
    """Register operators that the exporter lacks, until the block is left."""

    symbols: Any = torch.onnx  # its type stubs lack these functions

    def expm1(graph: Any, value: Any) -> Any:
        """Return exp(x) - 1 without cancellation, as 2 t / (1 - t) with t = tanh(x / 2)."""
        two, one = (graph.op("Constant", value_t=torch.tensor(number)) for number in (2.0, 1.0))
        half = graph.op("Tanh", graph.op("Div", value, two))
        return graph.op("Div", graph.op("Mul", two, half), graph.op("Sub", one, half))

    symbols.register_custom_op_symbolic(_EXPM1, expm1, opset)
    try:
        yield
    finally:
        symbols.unregister_custom_op_symbolic(_EXPM1, opset)


def _declare(model: "ModelProto", graph: Graph) -> None:
    """Set the shapes of inputs and outputs, some of which the exporter cannot infer, and the defaults of inputs."""
    import onnx

    ports = {port.name: port for port in (*graph.inputs, *graph.outputs)}
    for value in (*model.graph.input, *model.graph.output):
        port, kind = ports[value.name], value.type.tensor_type.elem_type
        value.CopyFrom(onnx.helper.make_tensor_value_info(port.name, kind, port.shape))
    for value in model.graph.input:
        default = ports[value.name].default
        if default is not None:  # stored as an initializer with the same name
            model.graph.initializer.append(onnx.numpy_helper.from_array(default.numpy(), value.name))
