"""The description of an exported model, ``model.json``, for programs that run it."""

from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from promise_seg._version import __version__
from promise_seg.exporting.graph import Graph, Port
from promise_seg.model import PromiseModel
from promise_seg.storage.hashing import file_sha256

FORMAT_VERSION = 1
FORMAT = "promise-seg onnx"
"""Name of the format in a description, which identifies it."""
DESCRIPTION_FILE = "model.json"


def describe(model: PromiseModel, graphs: Mapping[Graph, Collection[str]], folder: Path, opset: int) -> dict[str, Any]:
    """Return the description of an exported model.

    Args:
        model: model that was exported.
        graphs: maps each graph to the names of the inputs in its file.
        folder: folder with the graphs and all other files of the export.
        opset: version of the ONNX operators.
    """
    config, sam = model.config, model.sam
    mean, std = sam.input_scale
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": {
            "variant": config.variant,
            "sha256": model.sha256(),
            "sam": sam.name,
            "sam_sha256": sam.sha256,
            "classes": [1 if config.reading.label is None else config.reading.label],
        },
        "image": {
            "side": sam.image_size,
            "fit": config.fit,
            "colours": "RGB",
            "values": [0, 255],
            "normalisation": {"where": "in the encoder's graph", "mean": list(mean), "std": list(std)},
            "reading": config.reading.model_dump(mode="json"),
        },
        "prompter": _prompter(model),
        "decoder": _decoder(model),
        "postprocessing": config.postprocessing.model_dump(mode="json"),
        "graphs": {graph.name: _graph(graph, inputs) for graph, inputs in graphs.items()},
        "files": {path.name: _file(path) for path in sorted(folder.iterdir())},
        "versions": {
            "promise-seg": __version__, "opset": opset, "torch": version("torch"),
            "transformers": version("transformers"), "onnx": version("onnx"),
        },
    }  # fmt: skip


def _prompter(model: PromiseModel) -> dict[str, Any] | None:
    if model.apm is None or model.config.apm is None:
        return None
    return {
        "kind": model.config.apm.kind,
        "image_side": model.apm.image_side,
        "finds": "points" if model.apm.object_rule is None else "maps",
        "object_rule": model.apm.object_rule,
    }


def _decoder(model: PromiseModel) -> dict[str, Any]:
    config = model.config
    return {
        "mask_side": model.sam.mask_side,
        "own_prompts": {
            "second_pass": config.second_pass,
            "map_share": config.map_share,
            "presence_threshold": None if model.always_segments else config.presence_threshold,
        },
        "given_map_shares": {str(form): answer.map_share for form, answer in config.given.items()},
    }


def _graph(graph: Graph, inputs: Collection[str]) -> dict[str, Any]:
    return {
        "file": graph.file,
        "inputs": [_port(port) for port in graph.inputs if port.name in inputs],
        "outputs": [_port(port) for port in graph.outputs],
    }


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "shape": list(port.shape),
        "type": str(port.dtype).removeprefix("torch."),
        "optional": port.default is not None,
        "about": port.about,
    }


def _file(path: Path) -> dict[str, Any]:
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}
