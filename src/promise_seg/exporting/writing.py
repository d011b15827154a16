"""Write a model as a folder of ONNX files, with a description and a program that runs them."""

from pathlib import Path

from promise_seg.class_sets import CLASS_PREFIX
from promise_seg.exporting.comparing import Agreement, compare
from promise_seg.exporting.decoder_graph import DecoderGraph
from promise_seg.exporting.description import DESCRIPTION_FILE, FORMAT, describe
from promise_seg.exporting.encoder_graph import EncoderGraph
from promise_seg.exporting.graph import Graph
from promise_seg.exporting.prompter_graph import PrompterGraph
from promise_seg.exporting.tracing import write_graph
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, counted, silent
from promise_seg.storage.files import json_text, read_json_object

_PROGRAM = Path(__file__).with_name("program")
"""Folder of the program's files, which import each other but nothing from promise-seg."""
_COMPILED = "__pycache__"


def graphs_of(model: PromiseModel, name: str) -> list[Graph]:
    """Return the graphs of a model: encoder, auto-prompter if it has one, and decoder.

    Args:
        model: model on the CPU; it is put into evaluation mode.
        name: name of the model in messages.
    """
    model.eval()
    encoder = EncoderGraph(model, name)
    graphs: list[Graph] = [encoder]
    if model.apm is not None:
        graphs.append(PrompterGraph(model, encoder, name))
    return [*graphs, DecoderGraph(model, encoder, name)]


def write_model(
    model: PromiseModel, folder: Path, opset: int, name: str, progress: Progress = silent
) -> list[Agreement]:
    """Write a model into a folder, and compare each of its graphs with PyTorch.

    Args:
        model: model of any variant, on the CPU.
        folder: existing, empty folder.
        opset: version of the ONNX operators.
        name: name of the model in messages.
        progress: called after each graph.

    Raises:
        SettingsError: if a graph cannot be exported, or its outputs differ from PyTorch's.
    """
    inputs, found = {}, []
    for graph in counted(graphs_of(model, name), progress, "exporting"):
        inputs[graph] = write_graph(graph, folder, opset)
        found.append(compare(graph, folder))
    for source in sorted(_PROGRAM.glob("*.py")):
        (folder / source.name).write_bytes(source.read_bytes())
    text = json_text(describe(model, inputs, folder, opset))
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
    return found


def is_export(folder: Path) -> bool:
    """Whether a folder is empty, or holds nothing but an earlier export of one model or of several classes.

    Files that Python compiled when the program was imported are ignored.
    """
    if not folder.is_dir():
        return False
    found = [path for path in folder.iterdir() if path.name != _COMPILED or not path.is_dir()]
    if any(path.is_dir() for path in found):
        return all(path.is_dir() and path.name.startswith(CLASS_PREFIX) and is_export(path) for path in found)
    return not found or _is_of_one(folder, {path.name for path in found})


def _is_of_one(folder: Path, names: set[str]) -> bool:
    try:
        about = read_json_object(folder / DESCRIPTION_FILE)
    except (OSError, ValueError):
        return False
    files = about.get("files")
    return about.get("format") == FORMAT and isinstance(files, dict) and names <= {*files, DESCRIPTION_FILE}
